"""How long activities may take and how they are retried: the only place with such numbers.

A worker that is down costs no attempt: an activity then waits in its queue, so a policy that must survive a
restart has no schedule-to-close timeout.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

with workflow.unsafe.imports_passed_through():
    from models.temporal_names import TaskQueue

QUICK_READ = ActivityConfig(
    # A read that a person waits for: after six failures in about ten seconds it is better to say what is missing. One
    # that is merely slow is waited for; heartbeats tell it from a dead worker.
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(seconds=5),
        maximum_attempts=6,
    ),
)

READ = ActivityConfig(
    # A read in the middle of a rollout, or of its undoing: as patient as the change that it is made for, as otherwise a
    # provider that fails now and then would end what the change would have borne.
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=34,
    ),
)

EFFECT = ActivityConfig(
    # A change on the way forward: patient for about five minutes, long enough for what it talks to to be restarted,
    # and short enough that a rollout does not hang for hours on something that is gone. Like a start, a cancelled
    # change is waited for, so that it cannot come after the one that undoes it. One that is merely slow, half a minute
    # say, is given the time: cut off, it would never be done.
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=10),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=34,
    ),
)

SLOW_EFFECT = ActivityConfig(
    # Instances come up in their own time, bounded by the catalog's ready timeout which the provider keeps; heartbeats
    # tell a dead worker from a slow start. As patient as any change: a version that does not come up is not started
    # again, and what can be tried again is a host or a provider that is away for a while. Waiting for the cancellation
    # to complete keeps a start from racing the stop that undoes it.
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=34,
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

MUST_HAPPEN = ActivityConfig(
    # What was decided is carried out: undoing, finishing what was promoted, and the way back from what turned bad
    # afterwards are retried until they are done. Cut off before anything is decided, it is waited for, as it could
    # come after what the next rollout does.
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(seconds=10),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
    ),
)

MUST_BE_RECORDED = ActivityConfig(
    # Retried until it is done like the above, but nobody waits for it. The pauses double, so that what comes back is
    # written to after about as long as it was away; five minutes at most spare what is away for days thousands of
    # calls. A write knows by itself when to give up on a connection.
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(minutes=5),
    ),
)

WATCH = ActivityConfig(
    # Heartbeats every tick; a worker that dies is noticed within five seconds and another goes on. A gate may wait
    # for days, so only the heartbeat bounds a watch.
    start_to_close_timeout=timedelta(days=365),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=2),
    ),
)

EVALUATE = ActivityConfig(
    # As a watch; cut off by an edit of its rules, it is waited for, as it brings along what is pending.
    **{**WATCH, "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED}
)

ASK_A_GUARD = ActivityConfig(
    # A message to another workflow, retried until it is answered. The same message again is the same question, so an
    # attempt is short: whoever waits is not kept by a worker that died.
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
    ),
)

PAGE = ActivityConfig(
    # Somebody is to act, so it is tried until it is taken, or until nobody needs to act any more, when it is cancelled.
    # At least twice a minute: what it goes to may come back at any time, and the next level is minutes away. A worker
    # that died is noticed within five seconds, as somebody is waiting for this to be heard.
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=30),
    ),
)

SEND_ALERTS = ActivityConfig(
    # To incidents, by way of Temporal itself, until it has them: what fires is to be heard of; what follows it waits.
    # One attempt gives up after half a minute by itself; the same batch again is not counted twice. Heartbeats tell of
    # a worker that died, as people wait to hear of what it held.
    start_to_close_timeout=timedelta(minutes=1),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=300),
        maximum_interval=timedelta(seconds=10),
    ),
)

LOOK_AGAIN = ActivityConfig(
    # A question to the front door, which alone knows the catalog of the day. It waits in its queue for as long as no
    # gateway runs, as nobody else takes alerts in then either; one that has just started learns what counts in seconds.
    start_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=30),
    ),
)

UPDATE = ActivityConfig(
    # How it went on: after an hour nobody wants to know any more, and the incident's end waits for it.
    start_to_close_timeout=timedelta(minutes=2),
    schedule_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(minutes=1),
    ),
)

HEAD_START = timedelta(seconds=8)
"""How long a page has before the one that was due after it is sent, too: the overdue one first, and none held up. That
is longer than it takes until a page whose worker died is tried again, or the two would change places.
"""

LOOK_AT_TEMPORAL = LocalActivityConfig(
    # A look at another workflow, of milliseconds. Local, as the questions that wait for it fill the queue's slots, and
    # it would wait behind them.
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=5),
    ),
)

WATCH_AGAIN = timedelta(minutes=1)
"""When a watch that ended for good is begun anew. Some twelve events each time, so that a run lasts for hours."""

RETRY_A_REFUSAL = timedelta(seconds=10)
"""How long to wait before asking again for something that must happen and was refused for good."""

RETRY_A_REFUSAL_AT_LEAST_EVERY = timedelta(minutes=5)
"""Each refusal doubles the wait, up to this. A refusal costs up to 18 events, and Temporal ends a workflow, and with it
its undo, at 51,200: at one every ten seconds within eight hours, at this pace within ten days.
"""


def longer(pause: timedelta) -> timedelta:
    """The pause after the next refusal."""
    return min(2 * pause, RETRY_A_REFUSAL_AT_LEAST_EVERY)


def on(queue: TaskQueue | str, policy: ActivityConfig, summary: str) -> ActivityConfig:
    """A policy on a task queue, with the words that the UI shows for the activity."""
    return ActivityConfig(**{**policy, "task_queue": queue, "summary": summary})
