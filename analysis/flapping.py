"""What fires and clears again and again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.incident_spec import FlapSpec


def flaps(changes: Sequence[datetime], spec: FlapSpec, now: datetime) -> bool:
    """Whether there were so many changes between fired and cleared in the time that is counted."""
    return len(remembered(changes, spec.within, now)) >= spec.changes


def quiet_at(changes: Sequence[datetime], spec: FlapSpec) -> datetime | None:
    """When it will have stopped flapping if nothing changes any more; None when it does not flap at its last change."""
    if not changes or not flaps(changes, spec, changes[-1]):
        return None
    return sorted(changes)[-spec.changes] + spec.within


def remembered(times: Sequence[datetime], within: timedelta, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in times if at > now - within)
