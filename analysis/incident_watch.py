"""What a person who watches incidents is shown of each, and what has changed since the last look."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from models.base import Payload
from models.incident import IncidentState, Phase
from models.quantities import format_duration

_HOUR = 3_600


class IncidentRow(Payload):
    """One incident as it stands. `since` is when it began to wait for somebody, else when it was opened."""

    incident: str
    severity: str
    phase: str
    title: str = ""
    since: datetime
    who: str = ""
    next_level: int | None = None
    next_level_at: datetime | None = None
    snoozed_until: datetime | None = None
    merged_into: str = ""
    alerts: int | None = None


class Change(StrEnum):
    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


def row_of(state: IncidentState) -> IncidentRow:
    due = state.escalation if state.phase is Phase.TRIGGERED and not state.snoozed_until else None
    return IncidentRow(
        incident=str(state.ref),
        severity=str(state.severity),
        phase=str(state.phase),
        title=state.title,
        since=state.triggered_at or state.opened_at,
        who=state.acknowledged_by or state.commander or state.resolved_by,
        next_level=due.level + 1 if due else None,
        next_level_at=due.due_at if due else None,
        snoozed_until=state.snoozed_until,
        merged_into=state.merged_into,
        alerts=state.count,
    )


_ORDER = {str(phase): place for place, phase in enumerate((Phase.TRIGGERED, Phase.ACKNOWLEDGED, Phase.PENDING))}


def in_order(rows: Sequence[IncidentRow]) -> list[IncidentRow]:
    """What waits for somebody first; of those the gravest, and then the oldest."""
    return sorted(rows, key=lambda row: (_ORDER.get(row.phase, len(_ORDER)), row.severity, row.since, row.incident))


def changes(before: Mapping[str, IncidentRow], now: Mapping[str, IncidentRow]) -> list[tuple[Change, IncidentRow]]:
    """What is new, what differs, and what is not open any more, as it was last."""
    found = [
        (Change.CHANGED if name in before else Change.OPENED, row)
        for name, row in now.items()
        if before.get(name) != row
    ]
    return [*found, *((Change.CLOSED, row) for name, row in before.items() if name not in now)]


def stands(row: IncidentRow, now: datetime) -> str:
    """What comes next, as time from now."""
    if row.merged_into:
        return f"merged into {row.merged_into.removeprefix('incident/')}"
    if row.snoozed_until:
        return f"snoozed for {in_words(row.snoozed_until - now)}"
    if row.next_level_at:
        left = row.next_level_at - now
        return f"level {row.next_level} {'is due' if left <= timedelta(0) else f'in {in_words(left)}'}"
    return ""


def in_words(time: timedelta) -> str:
    """To the minute from an hour on, to the second below; what is past is none."""
    seconds = max(int(time.total_seconds()), 0)
    return format_duration(timedelta(seconds=seconds // 60 * 60 if seconds >= _HOUR else seconds))
