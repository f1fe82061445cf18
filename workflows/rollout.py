"""A rollout: a new version takes over a service's traffic step by step, or is taken back."""

import asyncio
from contextlib import suppress
from functools import partial

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_plan import StartingPoint, starting_point, steps_for
    from analysis.rollout_result import is_promoted, result_of
    from models.audit import Verb
    from models.deployment import Instances
    from models.guard import LeaseKind, LeaseOutcome, Refusal
    from models.ids import group_words
    from models.judgement import Verdict
    from models.rollout import (
        Acknowledgement,
        Bake,
        Gate,
        Instruction,
        Keep,
        Phase,
        Promote,
        RolloutRequest,
        RolloutResult,
        RolloutState,
        ScaleDown,
        SetWeight,
        StartBaseline,
        Step,
        StepStatus,
        Successor,
        Waiting,
    )
    from models.temporal_names import ROLLOUT_WORKFLOW
    from models.traffic import TrafficSplit
    from workflows import metrics
    from workflows.guarding import GuardLease
    from workflows.interruption import undisturbed
    from workflows.rollout_attributes import search_attributes
    from workflows.rollout_books import RolloutBooks
    from workflows.rollout_decided import Resolve, is_decided, message_of
    from workflows.rollout_journal import Journal
    from workflows.rollout_orders import Orders
    from workflows.rollout_steadfast import is_steadfast
    from workflows.rollout_steps import Steps
    from workflows.rollout_stopping import RolloutStoppedError, stop_if_aborted, unless_aborted
    from workflows.rollout_traffic import Traffic
    from workflows.rollout_world import World
    from workflows.undo import UndoStack


GUARDED = "guard-and-records"
"""Rollouts that began before there were guards and records go on without."""


# One that cannot be read was begun by hand, and would hold its service's name for ever. Entities, such as incidents and
# guards, wait for a worker that can read what a newer front door or build wrote.
@workflow.defn(name=ROLLOUT_WORKFLOW, failure_exception_types=[ValidationError])
class Rollout:
    @workflow.init
    def __init__(self, request: RolloutRequest) -> None:
        self._request = request
        self._version = request.version
        self._journal = Journal(request)
        self._world = World(request)
        self._undo = UndoStack(self._journal.note)
        self._orders = Orders()
        self._resolve = Resolve(request, self._orders, self._journal.note)
        self._traffic = Traffic(request, self._world, self._journal, self._orders, self._undo)
        self._guard = GuardLease(
            request.ref,
            LeaseKind.ROLLOUT,
            requested_by=request.requested_by,
            rules=request.guard,
            version=request.version,
            going_back=request.at_once,
            emergency=request.emergency,
            report=self._journal.note,
        )
        self._books = RolloutBooks(request, self._journal)
        self._guarded = False
        self._cancelled: asyncio.CancelledError | None = None
        self._steps = Steps(request, self._world, self._traffic, self._journal, self._orders, self._undo)

    @workflow.run
    async def run(self, request: RolloutRequest) -> RolloutResult:
        self._guarded = is_steadfast() or workflow.patched(GUARDED)
        because = f": {request.reason}" if request.reason else ""
        self._journal.note(f"{request.requested_by} asked for {request.version}{because}")
        if self._guarded:
            self._books.show()
        try:
            await self._go_forward()
        except RolloutStoppedError as stop:
            await self._go_back(str(stop), stop.verdict)
        except asyncio.CancelledError as error:
            await self._cancel(error)
        self._count()
        await self._hand_in()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._orders.successor:
            workflow.continue_as_new(
                self._orders.successor, search_attributes=search_attributes(self._orders.successor)
            )
        if self._cancelled:
            raise self._cancelled
        return result_of(self._journal.state)

    async def _cancel(self, error: asyncio.CancelledError) -> None:
        if is_promoted(self._journal.state):
            self._end(Phase.PROMOTED, self._journal.state.reason)
        else:
            self._cancelled = error
            await self._go_back("the workflow was cancelled", None)

    def _count(self) -> None:
        state, took = self._journal.state, workflow.now() - workflow.info().start_time
        metrics.rollout_ended(state.phase, state.strategy, took)
        if state.exposed_at and state.decided_at and state.off_at:
            metrics.rollback_ended(state.strategy, state.off_at - state.decided_at)

    async def _hand_in(self) -> None:
        """Give the service back to its guard and the books to the records, whoever cancels what by now."""
        if self._guarded:
            await undisturbed(self._give_back_and_record())

    async def _give_back_and_record(self) -> None:
        await self._guard.release(self._lease_outcome())
        await self._books.end()

    def _lease_outcome(self) -> LeaseOutcome:
        """A version that users never met, or that people took back, may come again at once: it was not found bad."""
        state = self._journal.state
        asked_for = self._orders.aborted() or self._cancelled is not None
        if state.phase is Phase.ROLLED_BACK and state.exposed_at and not asked_for:
            return LeaseOutcome.ROLLED_BACK
        return LeaseOutcome.PROMOTED if state.phase is Phase.PROMOTED else LeaseOutcome.FAILED

    async def _go_forward(self) -> None:
        try:
            if not await self._prepare():
                self._end(Phase.UNCHANGED, f"{self._version} is stable already; there is nothing to do")
                return
            for index, state in enumerate(self._journal.state.steps):
                await self._resolve.through(partial(self._carry_out, index, state.step))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            raise RolloutStoppedError(message_of(error)) from error
        self._end(Phase.PROMOTED, self._journal.state.reason)

    async def _go_back(self, reason: str, verdict: Verdict | None) -> None:
        self._orders.closed = True
        self._journal.update(decided_at=workflow.now(), reason=reason, verdict=verdict or self._journal.state.verdict)
        self._journal.note(reason)
        if not self._undo:
            self._end(Phase.FAILED, reason)
            return
        self._journal.enter(Phase.ROLLING_BACK)
        with suppress(asyncio.CancelledError):  # whoever cancels meanwhile, it is decided and ends so
            await self._undo.unwind()
        self._end(Phase.ROLLED_BACK, reason)

    def _end(self, outcome: Phase, reason: str) -> None:
        self._orders.closed = True
        self._journal.update(reason=reason)
        self._journal.enter(outcome)

    async def _prepare(self) -> bool:
        """Find out what is there and plan; False when the version is stable already."""
        request = self._request
        await self._resolve.through(self._ask_the_guard)
        split, running = await self._resolve.through(self._look)
        found = starting_point(self._version, split, running, wanted=request.spec.deploy.instances)
        self._journal.update(stable=found.stable)
        if not is_decided(request):  # else it would be held up by what may wait for the next
            await self._tidy_up(split, found)
        if found.unchanged:
            return False
        self._journal.plan(steps_for(request.spec, self._version, stable=found.stable, at_once=request.at_once))
        self._journal.enter(Phase.PROGRESSING)
        return True

    async def _tidy_up(self, split: TrafficSplit | None, found: StartingPoint) -> None:
        if found.stable and split and split.weight > 0:
            await unless_aborted(self._orders, self._traffic.give_back())
        for leftover in found.leftovers:
            await unless_aborted(self._orders, self._world.stop(leftover))
            self._journal.note(f"stopped {group_words(leftover)}, left over from an earlier rollout")

    async def _look(self) -> tuple[TrafficSplit | None, Instances]:
        """Who gets traffic, and what lives."""
        if is_steadfast():
            both = asyncio.gather(self._world.traffic(), self._world.instances(patiently=False))
            return await unless_aborted(self._orders, both)
        split = await unless_aborted(self._orders, self._world.traffic())
        return split, await unless_aborted(self._orders, self._world.instances(patiently=False))

    async def _ask_the_guard(self) -> None:
        if self._guarded:
            answer = await unless_aborted(self._orders, self._guard.acquire())
            if isinstance(answer, Refusal):
                raise RolloutStoppedError(answer.why)

    async def _carry_out(self, index: int, step: Step) -> None:
        if isinstance(step, SetWeight | ScaleDown | Promote):
            await self._steps.hold_while_paused()
        stop_if_aborted(self._orders)
        if isinstance(step, StartBaseline | SetWeight | Bake | Gate | ScaleDown) and self._orders.promote:
            self._journal.mark(index, StepStatus.SKIPPED)
            return
        if isinstance(step, Keep) and self._guarded:
            try:
                await self._guard.release(LeaseOutcome.PROMOTED)
            except asyncio.CancelledError:  # as it would end the wait; what was stable before still goes
                self._journal.mark(index, StepStatus.SKIPPED)
                return
        self._journal.mark(index, StepStatus.ACTIVE)
        try:
            await self._steps.carry_out(step)
        except (Exception, asyncio.CancelledError):
            self._journal.mark(index, StepStatus.FAILED)
            raise
        self._journal.mark(index, StepStatus.DONE)

    @workflow.query
    def state(self) -> RolloutState:
        return self._journal.state

    @workflow.update
    async def promote(self, order: Instruction) -> Acknowledgement:
        self._orders.promote = True
        return self._heard(Verb.PROMOTE, order, f"{self._version} is promoted without the steps that remain")

    @promote.validator
    def _may_promote(self, order: Instruction) -> None:
        self._orders.check_promote()

    @workflow.update
    async def abort(self, order: Instruction) -> Acknowledgement:
        because = f": {order.note}" if order.note else ""
        self._orders.abort_reason = f"aborted by {order.by}{because}"
        return self._heard(Verb.ABORT, order, f"{self._version} is taken back")

    @abort.validator
    def _may_abort(self, order: Instruction) -> None:
        self._orders.check_abort()

    @workflow.update
    async def pause(self, order: Instruction) -> Acknowledgement:
        self._orders.paused = True
        return self._heard(Verb.PAUSE, order, f"stays where it is; {self._version} is still watched")

    @pause.validator
    def _may_pause(self, order: Instruction) -> None:
        self._orders.check_pause()

    @workflow.update
    async def resume(self, order: Instruction) -> Acknowledgement:
        self._orders.paused = False
        return self._heard(Verb.RESUME, order, "goes on")

    @resume.validator
    def _may_resume(self, order: Instruction) -> None:
        self._orders.check_resume()

    @workflow.update
    async def approve(self, order: Instruction) -> Acknowledgement:
        question = self._journal.state.question
        self._orders.approvals += 1
        self._orders.asking = False
        return self._heard(Verb.APPROVE, order, f"approved: {question}")

    @approve.validator
    def _may_approve(self, order: Instruction) -> None:
        self._orders.check_approve()

    @workflow.update
    async def follow(self, asked: Successor) -> Acknowledgement:
        """Let a newer rollout of the service come next, in this workflow's place."""
        waited, request = self._orders.successor, asked.request
        if request.id and request.id == self._request.id:  # asked twice, as a connection broke: its turn has come
            return Acknowledgement(text=f"{request.version} has begun")
        self._orders.follow(asked, decided=is_decided(self._request))
        waiting = Waiting(request_id=request.id, version=request.version, requested_by=request.requested_by)
        self._journal.update(next=waiting)
        instead = f", instead of {waited.version}" if waited else ""
        text = f"{request.version} comes next{instead}, once {self._version} is through"
        if self._orders.aborted():
            text = f"{request.version} comes next{instead}, once {self._version} is taken back"
        order = Instruction(by=request.requested_by, note=request.reason, from_where=request.from_where)
        return self._heard(Verb.ROLLBACK if request.at_once else Verb.DEPLOY, order, text)

    @follow.validator
    def _may_follow(self, asked: Successor) -> None:
        self._orders.check_follow(asked, self._request.ref)

    def _heard(self, what: Verb, order: Instruction, text: str) -> Acknowledgement:
        note = f" ({order.note})" if order.note else ""
        self._journal.note(f"{order.by}: {text}{note}")
        self._books.heard(what, order, text)
        if self._guarded:  # not yet, when it was heard before the first line of `run`
            self._books.show()
        return Acknowledgement(text=text)
