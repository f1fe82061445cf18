"""What the audit log is told of orders on incidents: who gave which, and what became of it."""

from collections.abc import Mapping
from datetime import datetime

from analysis.incident_changes import CHANGES_NOTHING
from models.audit import ACCEPTED, REFUSED, AuditEntry
from models.ids import IncidentRef
from models.incident import IncidentRequest, IncidentState, Order
from models.temporal_names import IncidentSignal

OPEN = "open"
BY_SIGNAL = "a signal"
"""From where, for those that said nothing of it, such as Temporal's own command."""

_LONGEST = 500


def words(ref: IncidentRef, order: str) -> str:
    """What was ordered, as the audit log says it."""
    return f"incident {ref.key}: {order.replace('_', ' ')}"


def opened(request: IncidentRequest, run_id: str, now: datetime) -> AuditEntry | None:
    """By a person; None for one that alerts open."""
    if not request.opened_by:
        return None
    said = f"{request.severity} {request.title}"
    return AuditEntry(
        key=f"{run_id}/1",
        at=now,
        who=request.opened_by,
        what=words(request.ref, OPEN),
        ref=request.ref.of,
        from_where=request.from_where or BY_SIGNAL,
        note=f"{said}: {request.note}"[:_LONGEST] if request.note else said,
    )


def heard(
    before: IncidentState, after: IncidentState, signal: IncidentSignal, order: Order, run_id: str, now: datetime
) -> AuditEntry | None:
    """Of one order, by the entry that it left on the timeline; None where it left none."""
    told = [entry for entry in after.timeline if entry.number > before.entries]
    if not told:
        return None
    entry = next((each for each in reversed(told) if each.by == order.by), told[-1])
    _, refused, why = entry.text.partition(CHANGES_NOTHING)
    return AuditEntry(
        key=f"{run_id}/{entry.number}",
        at=now,
        who=order.by,
        what=words(after.ref, signal),
        ref=after.ref.of,
        from_where=order.from_where or BY_SIGNAL,
        outcome=REFUSED if refused else ACCEPTED,
        why=why[:_LONGEST],
        note="" if refused else entry.text[:_LONGEST],
    )


def whose(said: object) -> Order:
    """Who gave an order that was not understood, as far as it says."""
    told = said if isinstance(said, Mapping) else {}
    names = {name: str(told.get(name) or "")[:200] for name in ("by", "from_where")}
    return Order.model_validate({name: value for name, value in names.items() if value})
