"""The silences that people keep in an environment: one workflow that remembers, and shows what it knows to all."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from analysis.silences import added, concerns, expired, line, pruned, refusal
    from models.audit import AuditEntry, Verb
    from models.ids import order_recording_id
    from models.incident_spec import Silence
    from models.record import ToRecord
    from models.silences import MEMO, AddSilence, ExpireSilence, KeptSilence, SilenceBoard, SilencesState
    from models.temporal_names import SILENCES_WORKFLOW, SilencesUpdate
    from workflows.interruption import undisturbed
    from workflows.recording import hand_over


@workflow.defn(name=SILENCES_WORKFLOW)
class Silences:
    """Runs for ever. It holds no timer: whoever decides on an alert compares the time, so that an end comes whether a
    worker runs or not. What is kept stands in the workflow's memo, which Temporal itself tells.
    """

    @workflow.init
    def __init__(self, state: SilencesState) -> None:
        self._state = state
        self._taken = 0

    @workflow.run
    async def run(self, state: SilencesState) -> None:
        # The order that started it is heard before this, so what was passed in is not all any more.
        self._become(pruned(self._state, workflow.now()))
        # Cancelled, it would forget what is silent.
        await undisturbed(workflow.wait_condition(self._run_is_full))
        await undisturbed(workflow.wait_condition(workflow.all_handlers_finished))
        workflow.continue_as_new(self._state)

    def _run_is_full(self) -> bool:
        return self._taken >= self._state.updates_per_run or workflow.info().is_continue_as_new_suggested()

    @workflow.update(name=SilencesUpdate.ADD)
    async def add(self, order: AddSilence) -> KeptSilence:
        self._taken += 1
        known = any(each.id == order.spec.name for each in self._state.silences)
        self._become(added(self._state, order, workflow.now()))
        kept = self._kept(order.spec.name)
        if not known:
            await self._record(Verb.SILENCE, kept.spec, order.by, order.from_where, order.spec.comment)
        return kept

    @add.validator
    def _may_add(self, order: AddSilence) -> None:
        why = refusal(self._state, order, workflow.now())
        if why:
            raise ApplicationError(why, type="Refused")

    @workflow.update(name=SilencesUpdate.EXPIRE)
    async def expire(self, order: ExpireSilence) -> KeptSilence:
        self._taken += 1
        before = self._kept(order.id)
        self._become(expired(self._state, order, workflow.now()))
        after = next((each for each in self._state.silences if each.id == order.id), before)
        if after != before:
            await self._record(Verb.EXPIRE, after.spec, order.by, order.from_where, order.note)
        return after

    @expire.validator
    def _is_there(self, order: ExpireSilence) -> None:
        self._kept(order.id)

    @workflow.query
    def state(self) -> SilencesState:
        return self._state

    def _kept(self, silence_id: str) -> KeptSilence:
        found = next((each for each in self._state.silences if each.id == silence_id), None)
        if found is None:
            raise _unknown(silence_id)
        return found

    def _become(self, state: SilencesState) -> None:
        self._state = state
        workflow.upsert_memo({MEMO: SilenceBoard(silences=state.silences)})

    async def _record(self, what: Verb, spec: Silence, by: str, from_where: str, note: str) -> None:
        """Under the run and the number of the order: the same order again is not heard here a second time."""
        said = f"{spec.name}: {line(spec)}"
        entry = AuditEntry(
            key=f"{workflow.info().run_id}/{self._taken}",
            at=workflow.now(),
            who=by,
            what=what,
            ref=concerns(self._state.environment, spec),
            from_where=from_where,
            note=f"{said}; {note}" if note else said,
        )
        summary = f"record that {by} gave the order to {what} {spec.name}"
        await hand_over(ToRecord(audit=(entry,)), recording=order_recording_id(entry.key), summary=summary)


def _unknown(silence_id: str) -> ApplicationError:
    return ApplicationError(f"there is no silence {silence_id}", type="Refused")
