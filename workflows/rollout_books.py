"""What goes on record of a rollout: a picture of it whenever it matters, and every order it took."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from analysis.rollout_result import record_of
    from models.audit import ACCEPTED, AuditEntry, Verb
    from models.evidence_trail import RolloutKey
    from models.record import RolloutRecord, rollout_entries
    from models.rollout import Instruction, RolloutRequest
    from workflows.bookkeeping import Bookkeeping
    from workflows.rollout_journal import Journal
    from workflows.rollout_steadfast import is_steadfast


class RolloutBooks:
    """Nothing here makes a rollout wait for the records, but the hand-over of the last picture.

    The first entry is the rollout's own: orders may be heard before it has begun, as when its workers were down.
    """

    def __init__(self, request: RolloutRequest, journal: Journal) -> None:
        self._request = request
        self._journal = journal
        self._books = Bookkeeping(rollout_entries)
        self._audit: tuple[AuditEntry, ...] = ()
        self._handed_over = 0
        self._closed = False
        asked = Instruction(by=request.requested_by, note=request.reason, from_where=request.from_where)
        self.heard(Verb.ROLLBACK if request.at_once else Verb.DEPLOY, asked)

    def heard(self, what: Verb, order: Instruction, answer: str = "") -> None:
        """An order that was taken, and what was said to it. It is recorded with the next picture."""
        self._enter(what, order, ACCEPTED, why=answer)

    def show(self) -> None:
        """Have the rollout recorded as it is now."""
        if not self._closed:
            self._books.update(self._picture(None))

    async def end(self) -> None:
        """Hand over the last picture, with how it ended; and once more for each order that was heard meanwhile."""
        self._closed = True
        state = self._journal.state
        request = self._request
        ended = Instruction(by=request.requested_by, from_where=request.from_where)
        what = Verb.ROLLBACK if request.at_once else Verb.DEPLOY
        self._enter(what, ended, state.phase, why=state.reason)
        ended_at = workflow.now()
        await self._hand_over(ended_at)
        while len(self._audit) > self._handed_over and is_steadfast():
            await self._hand_over(ended_at)

    async def _hand_over(self, ended_at: datetime) -> None:
        self._handed_over = len(self._audit)
        last = self._picture(ended_at)
        summary = f"record {last.strategy} {last.ref.service} {last.version} → {last.ref.environment}"
        await self._books.finish(last, summary)

    def _enter(self, what: Verb, order: Instruction, outcome: str, why: str = "") -> None:
        entry = AuditEntry(
            key=f"{workflow.info().run_id}/{len(self._audit)}",
            at=workflow.now(),
            who=order.by,
            what=what,
            ref=self._request.ref,
            version=self._request.version,
            from_where=order.from_where,
            outcome=outcome,
            why=why,
            note=order.note,
        )
        self._audit = (*self._audit, entry)

    def _picture(self, ended_at: datetime | None) -> RolloutRecord:
        info = workflow.info()
        key = RolloutKey(workflow_id=info.workflow_id, run_id=info.original_execution_run_id)
        seen = record_of(self._journal.state, key, started_at=info.start_time, ended_at=ended_at)
        return seen.model_copy(update={"note": self._request.reason, "audit": self._audit})
