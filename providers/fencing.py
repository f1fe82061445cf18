"""Fencing tokens: what an earlier step of a rollout asked for does not come after what a later one did.

An attempt at an activity may outlive it, in a worker that was frozen and thaws after others went on. Every effect
carries a number that rises within its run; what is kept beside the effect tells who comes too late. After Kleppmann,
"How to do distributed locking" (2016).
"""

from models.base import Payload
from models.fence import Fence
from providers.errors import ProviderError

_FORMER_RUNS = 16


class StaleOrderError(ProviderError):
    """What asks is late: another step, or another run, has come after it."""


class Passed(Payload):
    """Who has come last, and which runs came before that one's."""

    last: Fence
    former_runs: tuple[str, ...] = ()


def let_pass(known: Passed | None, fence: Fence | None, what: str) -> Passed | None:
    """What is known from now on. Without a fence nothing is compared, as the keeper and people have none.

    Raises StaleOrderError (not retryable) for one that comes too late.
    """
    if fence is None or known is None:
        return known if fence is None else Passed(last=fence)
    same_run = fence.run_id == known.last.run_id
    if fence.run_id in known.former_runs or (same_run and fence.number < known.last.number):
        raise StaleOrderError(
            f"{what} was asked for by step {fence.number} of run {fence.run_id}, and something later has been done "
            f"since, by step {known.last.number} of run {known.last.run_id}. Nothing is changed.",
            retryable=False,
        )
    former = known.former_runs if same_run else (*known.former_runs, known.last.run_id)
    return Passed(last=fence, former_runs=former[-_FORMER_RUNS:])
