"""What is decided is carried out: the way back from a version that turned bad after its promotion."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from models.rollout import RolloutRequest
    from workflows import metrics
    from workflows.policies import RETRY_A_REFUSAL, longer
    from workflows.rollout_orders import Orders
    from workflows.rollout_steadfast import is_steadfast
    from workflows.rollout_stopping import RolloutStoppedError, unless_aborted

Result = TypeVar("Result")


def is_decided(request: RolloutRequest) -> bool:
    """Whether only a person ends this rollout before it is through. Who gave up half-way back would leave the bad
    version all traffic, and nobody waits for it who could try again.
    """
    return request.automatic and is_steadfast()


class Resolve:
    """Each part of a rollout that is decided is tried until it is done; of any other, once."""

    def __init__(self, request: RolloutRequest, orders: Orders, report: Callable[[str], None]) -> None:
        self._request = request
        self._orders = orders
        self._report = report

    async def through(self, part: Callable[[], Awaitable[Result]]) -> Result:
        """Raises RolloutStoppedError when a person aborts it; if it is not decided, that and ActivityError."""
        pause = RETRY_A_REFUSAL
        while True:
            try:
                return await part()
            except (ActivityError, RolloutStoppedError) as refusal:
                if self._orders.aborted() or is_cancelled_exception(refusal) or not is_decided(self._request):
                    raise
                why = message_of(refusal)
            metrics.refused()
            self._report(f"the way back was refused, trying again in {pause.seconds} s: {why}")
            await unless_aborted(self._orders, workflow.sleep(pause))
            pause = longer(pause)


def message_of(error: ActivityError | RolloutStoppedError) -> str:
    """What went wrong, in the words of who found it."""
    cause = error.cause if isinstance(error, ActivityError) else None
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)
