"""A candidate that has traffic is watched: while it bakes, is paused, waits, and beside what takes long."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from models.evidence import Comparison, Noise
    from models.judgement import Outcome, Verdict, Watch
    from models.keeper import RENEWALS_PER_DURATION
    from models.rollout import Phase, RolloutRequest
    from workflows.interruption import InterruptedWorkError, ended, unless
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_steadfast import is_steadfast
    from workflows.rollout_stopping import RolloutStoppedError, stop_if_aborted, unless_aborted
    from workflows.rollout_traffic import Traffic, lapse
    from workflows.rollout_world import World

Result = TypeVar("Result")


class Watching:
    """Each method returns when the rollout may go on. All raise RolloutStoppedError and ActivityError."""

    def __init__(
        self, request: RolloutRequest, world: World, orders: Orders, journal: Journal, traffic: Traffic
    ) -> None:
        self._request = request
        self._world = world
        self._orders = orders
        self._journal = journal
        self._traffic = traffic
        self._began = workflow.now()
        self._comparison = Comparison()

    async def bake(self, duration: timedelta, *, proof: bool) -> None:
        """Watch for the duration, not counting pauses; ask a person when the metrics do not tell.

        With `proof` they do only once there is evidence that the version is good enough.

        It ends by a verdict alone: one interrupted when its time was over, for want of metrics, is watched on.
        """
        remaining = duration
        while duration and not self._orders.promote:
            await self.hold_while_paused()
            verdict = await self._watch(remaining, until=self._orders.interrupts_a_bake, proof=proof)
            remaining = max(timedelta(), remaining - (workflow.now() - self._began))
            if verdict and verdict.outcome is Outcome.INCONCLUSIVE:
                version = self._journal.state.version
                await self.ask(f"the metrics do not tell whether {version} is healthy ({verdict.reason}); go on?")
            if verdict:
                return

    async def ask(self, question: str) -> None:
        """Wait until a person approves."""
        approvals = self._orders.approvals
        self._orders.asking = True
        self._journal.enter(Phase.AWAITING_APPROVAL, question)
        self._journal.note(f"waiting: {question}")
        await self._watch(None, until=lambda: self._orders.approvals > approvals or self._orders.promote)
        self._orders.asking = False
        self._journal.enter(Phase.PROGRESSING)

    async def hold_while_paused(self) -> None:
        if not self._orders.paused:
            return
        self._journal.enter(Phase.PAUSED)
        await self._watch(None, until=lambda: not self._orders.paused or self._orders.promote)
        self._journal.enter(Phase.PROGRESSING)

    async def beside(self, work: Awaitable[Result]) -> Result:
        """Finish the work. A candidate that has traffic is watched meanwhile, from when its lease is next to be renewed
        on: most work is done by then, and costs no watch. Work that a verdict or an abort cuts off is waited for.
        """
        if not (self._journal.state.weight and is_steadfast()):
            return await unless_aborted(self._orders, work)
        task = asyncio.ensure_future(work)
        unwatched = self._request.spec.rollout.lease / RENEWALS_PER_DURATION
        try:
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: task.done() or self._orders.aborted(), timeout=unwatched)
            if not task.done():
                await self._watch(None, until=task.done)
            return await unless_aborted(self._orders, task)
        finally:
            await ended(task)

    async def after_promotion(self, usual: Noise) -> Verdict:
        """Watch the promoted version until it turns bad; to be cancelled."""
        promoted = {"weight": 100.0, "usual": usual, "deploy": None}
        return await self._world.watch(self._asked(None).model_copy(update=promoted))

    @property
    def comparison(self) -> Comparison:
        return self._comparison

    async def _watch(self, bake: timedelta | None, *, until: Callable[[], bool], proof: bool = False) -> Verdict | None:
        """Watch for as long as asked or until a message; an unhealthy verdict or an abort stops the rollout.

        What a watch that a message ended had found by then is not known to the next.
        """
        verdict = None
        with suppress(InterruptedWorkError):
            verdict = await unless(lambda: self._orders.aborted() or until(), self._watched(bake, proof=proof))
        stop_if_aborted(self._orders)
        if verdict:
            self._comparison = verdict.comparison or self._comparison
            verdict = verdict.model_copy(update={"comparison": None})
            self._journal.update(verdict=verdict)
            if verdict.outcome is Outcome.UNHEALTHY:
                version = self._journal.state.version
                raise RolloutStoppedError(f"{version} is unhealthy: {verdict.reason}", verdict)
            self._journal.note(f"{verdict.outcome}: {verdict.reason}")
        return verdict

    async def _watched(self, bake: timedelta | None, *, proof: bool) -> Verdict:
        """One watch; begun anew each time that the keeper has taken the candidate off the traffic meanwhile."""
        while True:
            self._began = workflow.now()
            try:
                return await self._world.watch(self._beside_stable(bake, proof=proof))
            except ActivityError as error:
                why = lapse(error)
                if why is None:
                    raise
            await self._traffic.again(why)

    def _beside_stable(self, bake: timedelta | None, *, proof: bool) -> Watch:
        state = self._journal.state
        return self._asked(bake).model_copy(
            update={
                "stable": state.baseline or state.stable,
                "lease": self._traffic.lease,
                "weight": state.weight,
                "comparison": self._comparison,
                "proof": proof,
            }
        )

    def _asked(self, bake: timedelta | None) -> Watch:
        """Of the candidate alone."""
        spec = self._request.spec
        return Watch(
            ref=self._request.ref,
            metrics=spec.metrics,
            judge=spec.rollout.judge,
            deploy=spec.deploy,
            stable=None,
            candidate=self._request.version,
            bake=bake,
        )
