"""Rollouts of now ask for what they can at once, show less, and hold on to more; older ones go on as they began."""

from temporalio import workflow

_STEADFAST = "steadfast"


def is_steadfast() -> bool:
    """Whether this rollout began as rollouts do now: its traffic is watched whatever else is at work, a way back is
    carried out whatever it meets, and the books are open to the last order. Raises nothing; the first call of a run
    decides for all of it.

    The newest name stands for the older ones, "guard-and-records" too, as each costs two events and a write to what is
    searched.
    """
    return workflow.patched(_STEADFAST)
