"""What goes on record of an incident: a picture of it whenever it matters, its timeline, and what was sent."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from analysis.incident_list import to_record
    from models.audit import AuditEntry
    from models.incident import IncidentState, NotificationRecord, Phase, TimelineEntry
    from models.record import IncidentPicture, incident_entries
    from workflows.bookkeeping import Bookkeeping


class IncidentBooks:
    """Alerts that only add to the count are recorded with the next thing that matters, and the list of them at the end.
    `recorded` is the last entry that an earlier run has recorded. While `busy` says that more is about to happen it is
    waited for, for seconds.
    """

    def __init__(self, recorded: int, busy: Callable[[], bool]) -> None:
        self._books = Bookkeeping(incident_entries, busy)
        self._entries: tuple[TimelineEntry, ...] = ()
        self._notifications: tuple[NotificationRecord, ...] = ()
        self._audit: tuple[AuditEntry, ...] = ()
        self._handed_over = self._brought = 0
        self._last = recorded
        self._shown: tuple[Phase, int, int] | None = None

    @property
    def recorded(self) -> int:
        """The last entry of the timeline that is recorded, or will be in any case, once `end` was called."""
        return self._last

    @property
    def unrecorded(self) -> tuple[AuditEntry, ...]:
        """The orders that were heard after `end` took its picture."""
        return self._audit[self._handed_over :]

    @property
    def unrecorded_sent(self) -> tuple[NotificationRecord, ...]:
        """The messages that were taken after `end` took its picture."""
        return self._notifications[self._brought :]

    def lacks(self, state: IncidentState) -> bool:
        """Whether something was heard, or a message taken, after `end` took its picture."""
        return bool(self.unrecorded or self.unrecorded_sent) or state.strange > 0 or state.entries > self._last

    def sent(self, record: NotificationRecord) -> None:
        self._notifications = (*self._notifications, record)

    def ordered(self, entry: AuditEntry | None) -> None:
        """An order was heard, which is recorded with what it left on the timeline."""
        if entry is not None:
            self._audit = (*self._audit, entry)

    def show(self, state: IncidentState) -> None:
        """Have it recorded as it is now, if that says more than the last picture."""
        self._take(state)
        seen = (state.phase, self._last, len(self._notifications))
        if seen != self._shown:
            self._shown = seen
            self._books.update(self._picture(state))

    async def end(self, state: IncidentState) -> None:
        """Hand over the last picture of this run, with all that is not recorded yet."""
        self._take(state)
        self._handed_over, self._brought = len(self._audit), len(self._notifications)
        last = self._picture(state).model_copy(update={"alerts": to_record(state)})
        await self._books.finish(last, f"record the incident {state.ref}")

    def _take(self, state: IncidentState) -> None:
        new = tuple(entry for entry in state.timeline if entry.number > self._last)
        if new:
            self._entries, self._last = (*self._entries, *new), new[-1].number

    def _picture(self, state: IncidentState) -> IncidentPicture:
        info = workflow.info()
        return IncidentPicture(
            workflow_id=info.workflow_id,
            run_id=info.first_execution_run_id,
            ref=state.ref,
            title=state.title,
            severity=state.severity,
            phase=state.phase,
            opened_at=state.opened_at,
            acknowledged_at=state.acknowledged_at,
            acknowledged_by=state.acknowledged_by,
            resolved_at=state.resolved_at,
            resolved_by=state.resolved_by,
            closed_at=state.closed_at,
            count=state.count,
            missed_target=state.missed_at is not None,
            merged_into=state.merged_into,
            commander=state.commander,
            responders=state.responders,
            tasks=state.tasks,
            timeline=self._entries,
            notifications=self._notifications,
            audit=self._audit,
        )
