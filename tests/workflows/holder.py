"""A workflow that does nothing but hold a lease, and what starts it."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.base import Payload
    from models.guard import Grant, GuardRules, LeaseKind, LeaseOutcome, Refusal
    from models.ids import ServiceRef
    from workflows.guarding import GuardLease


class Holding(Payload):
    """What to ask for, and how it ends once it is told to; with `runs`, it continues as new so often before."""

    ref: ServiceRef
    kind: LeaseKind = LeaseKind.ROLLOUT
    version: str | None = None
    going_back: bool = False
    emergency: str = ""
    rules: GuardRules = GuardRules()
    runs: int = 0


@workflow.defn
class HoldsALease:
    """Asks, waits until it is told how it ends, gives back. Returns what it was answered."""

    def __init__(self) -> None:
        self._outcome: LeaseOutcome | None = None
        self._answer: Grant | Refusal | None = None

    @workflow.run
    async def run(self, asked: Holding) -> Grant | Refusal:
        lease = GuardLease(
            asked.ref,
            asked.kind,
            requested_by="ada",
            rules=asked.rules,
            version=asked.version,
            going_back=asked.going_back,
            emergency=asked.emergency,
        )
        try:
            self._answer = answer = await lease.acquire()
            if asked.runs:
                await workflow.sleep(timedelta(minutes=1))
                workflow.continue_as_new(asked.model_copy(update={"runs": asked.runs - 1}))
            if isinstance(answer, Grant):
                await workflow.wait_condition(lambda: self._outcome is not None)
        except asyncio.CancelledError:
            await lease.release(LeaseOutcome.FAILED)
            raise
        await lease.release(self._outcome or LeaseOutcome.FAILED)
        return answer

    @workflow.signal
    def end(self, outcome: LeaseOutcome) -> None:
        self._outcome = outcome

    @workflow.query
    def answer(self) -> Grant | Refusal | None:
        return self._answer
