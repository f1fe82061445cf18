"""A service's guard: the one place where "may I touch this service now?" is answered."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.guards import GuardActivities
    from analysis.guard_view import details_markdown, freeze_line
    from analysis.guarding import (
        AskIfAlive,
        answered,
        decide,
        known_answer,
        lease_line,
        noted,
        released,
        voided,
        was_released,
    )
    from models.audit import AuditEntry, Verb
    from models.deployment import Done
    from models.guard import Acquire, Freeze, Grant, GuardState, Holder, Refusal, Release, Unfreeze
    from models.ids import order_recording_id
    from models.record import ToRecord
    from models.rollout import Acknowledgement
    from models.temporal_names import GUARD_WORKFLOW, GuardUpdate
    from workflows.interruption import undisturbed
    from workflows.policies import LOOK_AT_TEMPORAL
    from workflows.recording import hand_over

RELEASED_ONCE = "released-once"
"""Where a release that came again was heard before, it was carried out again, and may have let somebody in since."""


@workflow.defn(name=GUARD_WORKFLOW)
class ServiceGuard:
    """Runs for ever. What it holds costs no events: time is compared when someone asks, and so is a holder's life."""

    @workflow.init
    def __init__(self, state: GuardState) -> None:
        self._state = state
        self._lock = asyncio.Lock()
        self._taken = 0

    @workflow.run
    async def run(self, state: GuardState) -> None:
        self._show()
        # Cancelled, it would forget who holds what.
        await undisturbed(workflow.wait_condition(self._run_is_full))
        await undisturbed(workflow.wait_condition(workflow.all_handlers_finished))
        workflow.continue_as_new(self._state)

    def _run_is_full(self) -> bool:
        return self._taken >= self._state.updates_per_run or workflow.info().is_continue_as_new_suggested()

    @workflow.update(name=GuardUpdate.ACQUIRE)
    async def acquire(self, request: Acquire) -> Grant | Refusal:
        asked = self._take()
        async with self._lock:
            known = known_answer(self._state, asked)
            if known:
                return known
            answer = await self._answer(asked, request)
            self._become(answered(self._state, asked, request, answer, workflow.now()))
            return answer

    async def _answer(self, asked: str, request: Acquire) -> Grant | Refusal:
        alive: list[Holder] = []
        while True:
            answer = decide(self._state, request, workflow.now(), alive=alive)
            if not isinstance(answer, AskIfAlive):
                return answer
            if await self._runs(answer.holder):
                alive.append(answer.holder)
            else:
                self._become(voided(self._state, asked, answer.holder, workflow.now()))

    async def _runs(self, holder: Holder) -> bool:
        found = await workflow.execute_local_activity_method(GuardActivities.holder_runs, holder, **LOOK_AT_TEMPORAL)
        return found.runs

    @workflow.update(name=GuardUpdate.RELEASE)
    async def release(self, release: Release) -> Done:
        asked = self._take()
        async with self._lock:
            if not (was_released(self._state, asked) and workflow.patched(RELEASED_ONCE)):
                self._become(released(self._state, asked, release, workflow.now()))
        return Done()

    @workflow.update(name=GuardUpdate.FREEZE)
    async def freeze(self, order: Freeze) -> Acknowledgement:
        asked = self._take()
        async with self._lock:
            frozen = self._state.model_copy(update={"freeze": order})
            text = freeze_line(frozen)
            self._become(noted(frozen, asked, text, workflow.now()))
            await self._record(Verb.FREEZE, asked, order)
            going_on = "; ".join(f"{lease_line(lease)} goes on" for lease in self._state.leases)
            return Acknowledgement(text=f"{text}; {going_on}" if going_on else text)

    @freeze.validator
    def _may_freeze(self, order: Freeze) -> None:
        if order.until and order.until <= workflow.now():
            raise ApplicationError("a freeze must end in the future", type="Refused")

    @workflow.update(name=GuardUpdate.UNFREEZE)
    async def unfreeze(self, order: Unfreeze) -> Acknowledgement:
        asked = self._take()
        async with self._lock:
            if self._state.freeze is None:
                return Acknowledgement(text="nobody had frozen it")
            note = f" ({order.note})" if order.note else ""
            text = f"unfrozen by {order.by}{note}"
            thawed = self._state.model_copy(update={"freeze": None})
            self._become(noted(thawed, asked, text, workflow.now()))
            await self._record(Verb.UNFREEZE, asked, order)
            return Acknowledgement(text=text)

    async def _record(self, what: Verb, asked: str, order: Freeze | Unfreeze) -> None:
        entry = AuditEntry(
            key=f"{workflow.info().run_id}/{asked}",
            at=workflow.now(),
            who=order.by,
            what=what,
            ref=self._state.ref,
            from_where=order.from_where,
            note=order.note,
        )
        summary = f"record that {order.by} gave the order to {what} {self._state.ref}"
        await hand_over(ToRecord(audit=(entry,)), recording=order_recording_id(entry.key), summary=summary)

    @workflow.query
    def state(self) -> GuardState:
        return self._state

    def _take(self) -> str:
        """Count a message, and return the id by which it is known should it come again."""
        self._taken += 1
        update = workflow.current_update_info()
        return update.id if update else ""

    def _become(self, state: GuardState) -> None:
        self._state = state
        self._show()

    def _show(self) -> None:
        workflow.set_current_details(details_markdown(self._state))
