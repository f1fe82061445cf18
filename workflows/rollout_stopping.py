"""How a rollout learns, whatever it is at, that it does not go through."""

from collections.abc import Awaitable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from models.judgement import Verdict
    from workflows.interruption import InterruptedWorkError, unless
    from workflows.rollout_orders import Orders

Result = TypeVar("Result")


class RolloutStoppedError(Exception):
    """The rollout does not go through; what was done is to be undone."""

    def __init__(self, reason: str, verdict: Verdict | None = None) -> None:
        super().__init__(reason)
        self.verdict = verdict


async def unless_aborted(orders: Orders, work: Awaitable[Result]) -> Result:
    """Finish the work, or cancel it for an abort and raise RolloutStoppedError."""
    try:
        return await unless(orders.aborted, work)
    except (InterruptedWorkError, ActivityError):  # what is cut off may end by an error of its own
        stop_if_aborted(orders)
        raise


def stop_if_aborted(orders: Orders) -> None:
    if orders.abort_reason:
        raise RolloutStoppedError(orders.abort_reason)
