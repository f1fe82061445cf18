"""A lease on a service, for a workflow that is about to touch it."""

import asyncio
from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.guards import GuardActivities
    from models.guard import Acquire, Grant, GuardRules, Holder, LeaseKind, LeaseOutcome, Refusal, Release
    from models.ids import ServiceRef, Version
    from models.temporal_names import TaskQueue
    from workflows.interruption import shielded
    from workflows.policies import ASK_A_GUARD, on
    from workflows.undo import must_happen


class GuardLease:
    """Ask before touching, give back afterwards, whatever happened in between:

        lease = GuardLease(request.ref, LeaseKind.ROLLOUT, rules=request.guard, requested_by=..., version=...)
        answer = await lease.acquire()
        if isinstance(answer, Refusal): ...
        ...
        await lease.release(LeaseOutcome.PROMOTED)

    `acquire` waits for as long as nobody runs the guards' queue. A cancellation during it is let through once the
    answer is there, so that a lease granted meanwhile can be given back: `release` belongs on every way out, after
    `except asyncio.CancelledError` too, but not into a `finally`, which also runs where a workflow merely leaves a
    worker's memory. It does nothing unless something was asked for. A workflow that ends without it frees its lease all
    the same, as soon as another asks.
    """

    def __init__(
        self,
        ref: ServiceRef,
        kind: LeaseKind,
        *,
        requested_by: str,
        rules: GuardRules,
        version: Version | None = None,
        going_back: bool = False,
        emergency: str = "",
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        info = workflow.info()
        self._request = Acquire(
            ref=ref,
            kind=kind,
            holder=Holder(workflow_id=info.workflow_id, run_id=info.first_execution_run_id),
            requested_by=requested_by,
            version=version,
            going_back=going_back,
            emergency=emergency,
            rules=rules,
        )
        self._report = report
        self._asked = False

    async def acquire(self) -> Grant | Refusal:
        """Ask, once. After a refusal it may be asked again, which is a new question."""
        self._asked = True
        asking = asyncio.ensure_future(self._acquire())
        await shielded(asking)
        return asking.result()

    async def _acquire(self) -> Grant | Refusal:
        return await workflow.execute_activity_method(
            GuardActivities.acquire,
            self._request,
            **on(TaskQueue.GUARDS, ASK_A_GUARD, f"may {self._request.ref.service} be touched now?"),
        )

    async def release(self, outcome: LeaseOutcome) -> None:
        """Give it back and say how it went; shielded from cancellation, and retried until it is done."""
        if self._asked:
            await shielded(
                must_happen("gave the service back to its guard", lambda: self._release(outcome), self._report)
            )
            self._asked = False

    async def _release(self, outcome: LeaseOutcome) -> None:
        request = self._request
        await workflow.execute_activity_method(
            GuardActivities.release,
            Release(
                ref=request.ref,
                kind=request.kind,
                holder=request.holder,
                outcome=outcome,
                version=request.version,
            ),
            **on(TaskQueue.GUARDS, ASK_A_GUARD, f"{request.ref.service} is free: {outcome.replace('_', ' ')}"),
        )
