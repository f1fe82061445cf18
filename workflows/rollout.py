"""A rollout: a new version takes over a service's traffic step by step, or is taken back."""

import asyncio
from datetime import datetime
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_plan import starting_point, steps_for
    from models.ids import Version
    from models.judgement import Verdict
    from models.quantities import format_percent
    from models.rollout import (
        Acknowledgement,
        Bake,
        DeployStep,
        Gate,
        Instruction,
        Phase,
        Promote,
        Retire,
        RolloutRequest,
        RolloutResult,
        RolloutState,
        SetWeight,
        Step,
        StepStatus,
    )
    from models.temporal_names import ROLLOUT_WORKFLOW
    from models.traffic import TrafficSplit
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_watching import RolloutStoppedError, Watching, stop_if_aborted, unless_aborted
    from workflows.rollout_world import World
    from workflows.undo import UndoStack, must_happen, shielded


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Rollout:
    @workflow.init
    def __init__(self, request: RolloutRequest) -> None:
        self._request = request
        self._version = request.version
        self._stable: Version | None = None
        self._journal = Journal(request)
        self._world = World(request)
        self._undo = UndoStack(self._journal.note)
        self._orders = Orders()
        self._watching = Watching(self._world, self._orders, self._journal)
        self._promoted = False
        self._exposed_at: datetime | None = None
        self._decided_at: datetime | None = None
        self._off_at: datetime | None = None

    @workflow.run
    async def run(self, request: RolloutRequest) -> RolloutResult:
        because = f": {request.reason}" if request.reason else ""
        self._journal.note(f"{request.requested_by} asked for {request.version}{because}")
        try:
            outcome = await self._go_forward()
        except RolloutStoppedError as stop:
            outcome = await self._go_back(str(stop), stop.verdict)
        except asyncio.CancelledError:
            if self._promoted:
                outcome = self._end(Phase.PROMOTED, f"{self._version} serves all traffic")
            else:
                await self._go_back("the workflow was cancelled", None)
                raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result(outcome)

    async def _go_forward(self) -> Phase:
        try:
            if not await self._prepare():
                return self._end(Phase.UNCHANGED, f"{self._version} is stable already; there is nothing to do")
            for index, state in enumerate(self._journal.state.steps):
                await self._carry_out(index, state.step)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            raise RolloutStoppedError(_message(error)) from error
        return self._end(Phase.PROMOTED, f"{self._version} serves all traffic")

    async def _go_back(self, reason: str, verdict: Verdict | None) -> Phase:
        self._decided_at = workflow.now()
        self._orders.closed = True
        self._journal.update(reason=reason, verdict=verdict or self._journal.state.verdict)
        self._journal.note(reason)
        if not self._undo:
            return self._end(Phase.FAILED, reason)
        self._journal.enter(Phase.ROLLING_BACK)
        await self._undo.unwind()
        return self._end(Phase.ROLLED_BACK, reason)

    def _end(self, outcome: Phase, reason: str) -> Phase:
        self._journal.update(reason=reason)
        self._journal.enter(outcome)
        return outcome

    async def _prepare(self) -> bool:
        """Find out what is there and plan; False when the version is stable already."""
        split = await unless_aborted(self._orders, self._world.traffic())
        running = await unless_aborted(self._orders, self._world.instances())
        found = starting_point(self._version, split, running, wanted=self._request.spec.deploy.instances)
        self._stable = found.stable
        if found.unchanged:
            return False
        if found.stable and split and split.weight > 0:
            await self._world.give_all_to(found.stable)
        for leftover in found.leftovers:
            await self._world.stop(leftover)
            self._journal.note(f"stopped {leftover}, left over from a rollout that was ended by force")
        request = self._request
        steps = steps_for(request.spec, self._version, stable=found.stable, at_once=request.at_once)
        self._journal.plan(found.stable, steps)
        self._journal.enter(Phase.PROGRESSING)
        return True

    async def _carry_out(self, index: int, step: Step) -> None:
        if isinstance(step, SetWeight | Promote):
            await self._watching.hold_while_paused()
        stop_if_aborted(self._orders)
        if isinstance(step, SetWeight | Bake | Gate) and self._orders.promote:
            self._journal.mark(index, StepStatus.SKIPPED)
            return
        self._journal.mark(index, StepStatus.ACTIVE)
        try:
            await self._perform(step)
        except (Exception, asyncio.CancelledError):
            self._journal.mark(index, StepStatus.FAILED)
            raise
        self._journal.mark(index, StepStatus.DONE)

    async def _perform(self, step: Step) -> None:
        match step:
            case DeployStep():
                await self._deploy()
            case SetWeight(weight=weight):
                await self._set_weight(weight)
            case Bake(duration=duration):
                await self._watching.bake(duration)
            case Gate():
                await self._watching.ask(self._question())
            case Promote():
                await self._promote()
            case Retire():
                await self._retire()
            case _:
                assert_never(step)

    def _question(self) -> str:
        state = self._journal.state
        if state.weight > 0:
            return f"approve {self._version} at {format_percent(state.weight)}?"
        addresses = ", ".join(f"http://{instance.address}" for instance in state.instances)
        return f"send traffic to {self._version}? It can be looked at before: {addresses}"

    async def _deploy(self) -> None:
        if self._version != self._stable:
            self._undo.push(f"stopped {self._version}", lambda: self._world.stop(self._version))
        started = await unless_aborted(self._orders, self._world.start(self._version))
        stop_if_aborted(self._orders)
        self._journal.update(instances=started.instances)
        self._journal.note(f"{len(started.instances)} of {len(started.instances)} of {self._version} are ready")

    async def _set_weight(self, weight: float) -> None:
        self._exposed_at = self._exposed_at or workflow.now()
        await self._split(TrafficSplit(stable=self._old(), candidate=self._version, weight=weight))
        self._journal.update(weight=weight)
        self._journal.note(f"{self._version} receives {format_percent(weight)}")

    async def _promote(self) -> None:
        self._orders.closed = True
        self._journal.enter(Phase.PROMOTING)
        await self._split(TrafficSplit(stable=self._version))
        self._undo.clear()
        self._promoted = True
        self._journal.update(weight=100.0)
        self._journal.note(f"{self._version} is promoted")

    async def _retire(self) -> None:
        old = self._old()
        await shielded(must_happen(f"stopped {old}", lambda: self._world.stop(old), self._journal.note))

    async def _split(self, split: TrafficSplit) -> None:
        """Put a split in force, unless a version that it needs has died meanwhile."""
        self._undo.push(self._undo_traffic_name(), self._return_traffic)
        running = await self._world.instances()
        dead = [version for version, share in split.weights().items() if share > 0 and not running.of(version)]
        if dead:
            raise RolloutStoppedError(f"no instance of {dead[0]} lives any more")
        await unless_aborted(self._orders, self._world.split(split, running))
        stop_if_aborted(self._orders)

    def _undo_traffic_name(self) -> str:
        return f"returned all traffic to {self._stable}" if self._stable else "removed the route"

    async def _return_traffic(self) -> None:
        if self._stable:
            await self._world.give_all_to(self._stable)
        else:
            await self._world.remove_traffic()
        self._off_at = workflow.now()
        self._journal.update(weight=0.0)

    def _old(self) -> Version:
        if self._stable is None:
            raise ApplicationError("this step needs a stable version", non_retryable=True)
        return self._stable

    @workflow.query
    def state(self) -> RolloutState:
        return self._journal.state

    @workflow.update
    async def promote(self, order: Instruction) -> Acknowledgement:
        self._orders.promote = True
        return self._heard(order, f"{self._version} is promoted without the steps that remain")

    @promote.validator
    def _may_promote(self, order: Instruction) -> None:
        self._orders.check_promote()

    @workflow.update
    async def abort(self, order: Instruction) -> Acknowledgement:
        because = f": {order.note}" if order.note else ""
        self._orders.abort_reason = f"aborted by {order.by}{because}"
        return self._heard(order, f"{self._version} is taken back")

    @abort.validator
    def _may_abort(self, order: Instruction) -> None:
        self._orders.check_abort()

    @workflow.update
    async def pause(self, order: Instruction) -> Acknowledgement:
        self._orders.paused = True
        return self._heard(order, f"stays where it is; {self._version} is still watched")

    @pause.validator
    def _may_pause(self, order: Instruction) -> None:
        self._orders.check_pause()

    @workflow.update
    async def resume(self, order: Instruction) -> Acknowledgement:
        self._orders.paused = False
        return self._heard(order, "goes on")

    @resume.validator
    def _may_resume(self, order: Instruction) -> None:
        self._orders.check_resume()

    @workflow.update
    async def approve(self, order: Instruction) -> Acknowledgement:
        question = self._journal.state.question
        self._orders.approvals += 1
        self._orders.asking = False
        return self._heard(order, f"approved: {question}")

    @approve.validator
    def _may_approve(self, order: Instruction) -> None:
        self._orders.check_approve()

    def _heard(self, order: Instruction, text: str) -> Acknowledgement:
        note = f" ({order.note})" if order.note else ""
        self._journal.note(f"{order.by}: {text}{note}")
        return Acknowledgement(text=text)

    def _result(self, outcome: Phase) -> RolloutResult:
        state = self._journal.state
        return RolloutResult(
            ref=state.ref,
            version=state.version,
            outcome=outcome,
            reason=state.reason,
            stable=self._version if outcome is Phase.PROMOTED else self._stable,
            verdict=state.verdict,
            exposed_at=self._exposed_at,
            decided_at=self._decided_at,
            off_at=self._off_at if self._exposed_at else None,
        )


def _message(error: ActivityError) -> str:
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause or error)
