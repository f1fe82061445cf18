"""What each step of a rollout does, and how it is taken back."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from analysis.change_watch import usual_after
    from analysis.rollout_plan import baseline_share, way_back
    from models.ids import Version, group_words
    from models.quantities import format_duration, format_percent
    from models.rollout import (
        Bake,
        DeployStep,
        Gate,
        Keep,
        Phase,
        Promote,
        Retire,
        RolloutRequest,
        ScaleDown,
        SetWeight,
        StartBaseline,
        Step,
        Successor,
        Waiting,
    )
    from workflows.interruption import InterruptedWorkError, shielded, unless
    from workflows.rollout_baseline import Baseline
    from workflows.rollout_decided import is_decided
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_steadfast import is_steadfast
    from workflows.rollout_stopping import stop_if_aborted, unless_aborted
    from workflows.rollout_traffic import Traffic
    from workflows.rollout_watching import Watching
    from workflows.rollout_world import World
    from workflows.undo import UndoStack, must_happen


WATCHED_AFTERWARDS = "watch-after-promotion"
"""Rollouts that kept an old version before promoted ones were watched go on without."""


class Steps:
    """Every step pushes its undo before it acts. All raise RolloutStoppedError and ActivityError."""

    def __init__(
        self,
        request: RolloutRequest,
        world: World,
        traffic: Traffic,
        journal: Journal,
        orders: Orders,
        undo: UndoStack,
    ) -> None:
        self._request = request
        self._world = world
        self._traffic = traffic
        self._journal = journal
        self._orders = orders
        self._undo = undo
        self._version = journal.state.version
        self._watching = Watching(request, world, orders, journal, traffic)
        self._baseline = Baseline(world, journal, orders, undo)
        self._cancelled = False

    async def carry_out(self, step: Step) -> None:
        match step:
            case DeployStep(instances=instances):
                await self._deploy(instances)
            case StartBaseline():
                await self._baseline.start(self._old())
            case SetWeight(weight=weight):
                await self._set_weight(weight)
            case Bake(duration=duration, proof=proof):
                await self._watching.bake(duration, proof=proof)
            case Gate():
                await self._watching.ask(self._question())
            case ScaleDown(instances=instances):
                await self._scale_down(instances)
            case Promote():
                await self._promote()
            case Keep(duration=duration):
                await self._keep(duration)
            case Retire(baseline=baseline):
                await (self._retire_baseline() if baseline else self._retire())
            case _:
                assert_never(step)

    async def hold_while_paused(self) -> None:
        await self._watching.hold_while_paused()

    def _question(self) -> str:
        state = self._journal.state
        if state.weight > 0:
            return f"approve {self._version} at {format_percent(state.weight)}?"
        addresses = ", ".join(f"http://{instance.address}" for instance in state.instances)
        return f"send traffic to {self._version}? It can be looked at before: {addresses}"

    async def _deploy(self, instances: int | None) -> None:
        state = self._journal.state
        if self._version != state.stable and not is_decided(self._request):  # that one lives, and is to
            self._undo.push(f"stopped {self._version}", lambda: self._world.stop(self._version))
        if any(isinstance(planned.step, ScaleDown) for planned in state.steps):
            # Below the undo of the traffic: what lives of the old version serves at once, then gets its help back.
            await self._will_be_restored(self._old())
        started = await self._watching.beside(self._world.start(self._version, instances))
        stop_if_aborted(self._orders)
        self._journal.update(instances=started.instances)
        self._journal.note(f"{len(started.instances)} of {len(started.instances)} of {self._version} are ready")

    async def _will_be_restored(self, old: Version) -> None:
        name = f"brought {old} back to full strength"
        if not self._undo.has(name):
            size = len((await unless_aborted(self._orders, self._world.instances())).of(old))
            self._undo.push(name, lambda: self._traffic.strengthen(old, size))

    async def _set_weight(self, weight: float) -> None:
        running = await self._watching.beside(self._world.instances())
        self._journal.update(exposed_at=self._journal.state.exposed_at or workflow.now(), off_at=None)
        await self._traffic.split(weight, running=running)
        self._journal.update(weight=weight)
        self._journal.note(f"{self._version} receives {format_percent(weight)}")
        if baseline := self._journal.state.baseline:
            self._journal.note(f"{group_words(baseline)} receives {format_percent(baseline_share(weight))}")

    async def _scale_down(self, instances: int) -> None:
        """Traffic leaves the instances that go before they are told to end."""
        old = self._old()
        running = await self._watching.beside(self._world.instances())
        if len(running.of(old)) > instances:
            seen = running if is_steadfast() else None
            await self._traffic.split(self._journal.state.weight, running=seen, left=instances)
            await self._watching.beside(self._world.scale(old, instances))
            stop_if_aborted(self._orders)
        self._journal.note(f"{instances} of {old} are left")

    async def _promote(self) -> None:
        self._orders.closed = not is_decided(self._request)  # which may take long, and a person may end it
        self._journal.enter(Phase.PROMOTING)
        await self._traffic.promote(self._version)
        self._orders.closed = True
        self._undo.clear()
        self._journal.update(weight=100.0, reason=f"{self._version} serves all traffic")
        self._journal.note(f"{self._version} is promoted")

    async def _retire_baseline(self) -> None:
        try:
            await self._baseline.stop()
        except asyncio.CancelledError:  # the old version is still to go, and without being kept first
            self._cancelled = True

    async def _keep(self, duration: timedelta) -> None:
        """Cut short by a newer rollout, which may lead back to what is kept."""
        if self._cancelled:
            return
        old = self._old()
        self._journal.enter(Phase.KEEPING)
        self._journal.note(f"{old} is kept for {format_duration(duration)}, for a quick way back")
        with suppress(TimeoutError, asyncio.CancelledError):  # whoever cancels the wait, the old version still goes
            watched = self._request.spec.rollout.judge.after_promotion.enabled and workflow.patched(WATCHED_AFTERWARDS)
            await asyncio.wait_for(self._until_followed(old, watched=watched), duration.total_seconds())

    async def _until_followed(self, old: Version, *, watched: bool) -> None:
        """Until another rollout is to come next: one that people ask for, or the way back from what turned bad."""
        followed = self._orders.has_successor
        compare = self._request.spec.rollout.judge.compare
        usual = usual_after(self._watching.comparison, compare.evidence.negligible, compare.error_noise)
        if not watched or usual is None:
            await workflow.wait_condition(followed)
            return
        try:
            verdict = await unless(followed, self._watching.after_promotion(usual))
        except InterruptedWorkError:
            return
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._journal.note(f"{self._version} is not watched any more: {error.cause}")
            await workflow.wait_condition(followed)
            return
        if followed():  # at the same moment, by people: they were told that theirs comes next
            return
        reason = f"{self._version} is unhealthy after its promotion: {verdict.reason}"
        request = way_back(self._request, old, reason, workflow.info().run_id)
        self._orders.follow(Successor(request=request))
        self._journal.update(
            verdict=verdict, next=Waiting(request_id=request.id, version=old, requested_by=request.requested_by)
        )
        self._journal.note(f"{reason}; {old} comes back")

    async def _retire(self) -> None:
        old = self._old()
        successor = self._orders.successor
        if successor and successor.version == old:
            self._journal.note(f"{old} is left running for the rollout that leads back to it")
            return
        await shielded(must_happen(f"stopped {old}", lambda: self._world.stop(old), self._journal.note))

    def _old(self) -> Version:
        stable = self._journal.state.stable
        if stable is None:
            raise ApplicationError("this step needs a stable version", non_retryable=True)
        return stable
