"""Which queue runs what, with which limits: the one table to read, and the one to extend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from activities.alert_rules import AlertDelivery, RuleWatch
from activities.deploys import DeployActivities
from activities.guards import GuardActivities
from activities.leases import LeaseActivities
from activities.notifications import NotificationActivities
from activities.records import RecordActivities
from activities.traffic import TrafficActivities
from models.temporal_names import TaskQueue
from workers.wiring import Adapters
from workflows.alert_rules import AlertRules
from workflows.incident import Incident
from workflows.recording import Recording
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard
from workflows.silences import Silences

Activities = Sequence[Callable[..., Any]]


def _none(_adapters: Adapters) -> Activities:
    return ()


def _traffic(adapters: Adapters) -> Activities:
    """Leases go with the traffic that they are for, as their ledger is on Envoy's host; and alert rules are evaluated
    where metrics are read.
    """
    keeper = adapters.lease_keeper
    traffic = TrafficActivities(
        adapters.routers, adapters.metric_sources, adapters.deployers, keeper, adapters.evidence_log
    )
    rules = RuleWatch(adapters.routers, adapters.metric_sources, adapters.series_source)
    return [*traffic.registered, *LeaseActivities(keeper).registered, *rules.registered]


@dataclass(frozen=True)
class Group:
    """One queue and what runs on it. `drain` is how long a stopping worker lets activities finish by themselves.

    Of the `polls` for decisions a share, `polls_for_new`, fetches what this worker does not hold: new workflows, and
    those of a worker that died. Each that waits takes one of the concurrent tasks.
    """

    queue: str
    why: str
    workflows: tuple[type, ...] = ()
    activities: Callable[[Adapters], Activities] = _none
    concurrent_activities: int = 1
    concurrent_workflow_tasks: int = 2
    cached_workflows: int = 0
    polls: int = 5
    polls_for_new: float = 0.2
    drain: timedelta = timedelta(seconds=10)


GROUPS = (
    Group(
        queue=TaskQueue.ROLLOUTS,
        why="Decisions only. Few tasks at once: after a restart every open rollout replays, and a task may take 2 s, "
        "so threads that share one interpreter must not be many. A cached rollout was measured at 0.2 MB.",
        workflows=(Rollout,),
        concurrent_workflow_tasks=8,
        cached_workflows=500,
    ),
    Group(
        queue=TaskQueue.DEPLOYS,
        why="Starting and stopping instances is heavy for the host, so ten at once; a start that is cut off goes on "
        "elsewhere with the instances it finds, yet 25 s let most finish.",
        activities=lambda adapters: DeployActivities(adapters.deployers).registered,
        concurrent_activities=10,
        drain=timedelta(seconds=25),
    ),
    Group(
        queue=TaskQueue.TRAFFIC,
        why="A watch holds its slot for as long as a candidate bakes or waits for a person, so slots are many and "
        "cheap. A watch hands over at once when asked to stop; 10 s are for a weight under way.",
        activities=_traffic,
        concurrent_activities=600,
        drain=timedelta(seconds=10),
    ),
    Group(
        queue=TaskQueue.GUARDS,
        why="One guard per service, which sleeps until asked, and the questions to it: calls of milliseconds to "
        "Temporal. A question's slot waits for the guard's answer, so there are more of them than of guards that "
        "decide at once.",
        workflows=(ServiceGuard,),
        activities=lambda _: GuardActivities().registered,
        concurrent_activities=50,
        concurrent_workflow_tasks=8,
        cached_workflows=500,
    ),
    Group(
        queue=TaskQueue.INCIDENTS,
        why="Decisions, and alerts of rules on their way to incidents: calls of milliseconds to Temporal, a set's one "
        "at a time. Many incidents may wait for people for days, and a storm brings each of them many alerts; as it "
        "keeps Temporal busy, most of a decision is waiting for it: with eight at once, and one poll for new "
        "incidents, first pages waited for most of a flood.",
        workflows=(Incident, Silences, AlertRules),
        activities=lambda _: AlertDelivery().registered,
        concurrent_activities=20,
        concurrent_workflow_tasks=16,
        cached_workflows=1_000,
        polls=8,
        polls_for_new=0.5,
    ),
    Group(
        queue=TaskQueue.NOTIFICATIONS,
        why="Calls to what belongs to others, which may hang for as long as the catalog allows: slots are many and "
        "cheap, so that one receiver that is away holds up no page to another.",
        activities=lambda adapters: NotificationActivities(adapters.notifiers).registered,
        concurrent_activities=100,
        drain=timedelta(seconds=10),
    ),
    Group(
        queue=TaskQueue.RECORDS,
        why="A database of its own pace: while it is away nothing else waits. A write is a few rows, and SQLite takes "
        "one at a time, so few at once; each is over within seconds, done or not.",
        workflows=(Recording,),
        activities=lambda adapters: RecordActivities(adapters.records).registered,
        concurrent_activities=8,
        cached_workflows=200,
        drain=timedelta(seconds=10),
    ),
)


class UnknownGroupError(Exception):
    """Someone asked for a group that does not exist; the sentence lists those that do."""


def groups_named(names: Sequence[str], table: Sequence[Group] = GROUPS) -> tuple[Group, ...]:
    """Return the groups of these names in the table's order; `all` stands for every one. Raises UnknownGroupError."""
    known = [str(group.queue) for group in table]
    unknown = [name for name in names if name not in known and name != "all"]
    if unknown or not names:
        asked = f"There is no worker group {', '.join(map(repr, unknown))}" if unknown else "No worker group was named"
        raise UnknownGroupError(f"{asked}; name one or more of {', '.join(known)}, or all.")
    return tuple(group for group in table if "all" in names or str(group.queue) in names)
