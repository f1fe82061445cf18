"""What is counted of an incident, by how it stands now and how it stood before."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.incident import IncidentState, NotificationRecord, Phase
    from workflows import metrics


class IncidentMeter:
    """`before` is how it stood at the end of its last run, of which everything is counted already."""

    def __init__(self, before: IncidentState | None) -> None:
        self._before = before

    def look(self, state: IncidentState) -> None:
        """Count what has happened since the last look."""
        before, self._before = self._before, state
        if _was_opened(before, state):
            metrics.incident_opened(state.severity)
        acknowledged_at, resolved_at = state.acknowledged_at, state.resolved_at
        if acknowledged_at and not _was_acknowledged(before, state):
            metrics.incident_acknowledged(state.severity, acknowledged_at - (state.triggered_at or state.opened_at))
        if resolved_at and (before is None or before.resolved_at != resolved_at):
            metrics.incident_resolved(state.severity, resolved_at - state.opened_at)

    def brought(self, record: NotificationRecord) -> None:
        message = record.notification
        metrics.notified(message.kind, message.target.spec.kind, sent=record.sent_at is not None)


def _was_opened(before: IncidentState | None, state: IncidentState) -> bool:
    """Also where it was resolved before anybody could look; never one that stayed pending."""
    waited = before is None or before.phase is Phase.PENDING
    return waited and state.triggered_at is not None


def _was_acknowledged(before: IncidentState | None, state: IncidentState) -> bool:
    """Also where its time was set anew: what somebody has stays theirs when a snooze or a merge is over."""
    if before is None:
        return False
    stays = before.phase is state.phase is Phase.ACKNOWLEDGED and before.acknowledged_by == state.acknowledged_by
    return stays or before.acknowledged_at == state.acknowledged_at
