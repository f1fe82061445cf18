"""What becomes of an incident as time passes: when something is due next, and what has become due."""

from datetime import datetime, timedelta

from analysis import incident_held
from analysis.escalation import Due
from analysis.flapping import quiet_at, remembered
from analysis.incident_changes import LATE, noted, paged, resolved, resolves_by_itself, triggered
from models.incident import IncidentRules, IncidentState, Phase
from models.quantities import format_duration

_MOST_AT_ONCE = 1_000
"""More than any policy has: each of the levels, cycles and ends falls due once."""


_A_MOMENT = timedelta(seconds=1)
"""How long one that begins with what it holds has to hear of it."""


def next_due(state: IncidentState, rules: IncidentRules) -> datetime | None:
    """The instant from which on `passed` changes something; None when only a message does."""
    return min((at for at, _ in _dues(state, rules)), default=None)


def passed(state: IncidentState, rules: IncidentRules, now: datetime) -> IncidentState:
    """Everything that is due by now, the one that is overdue longest first, each once and as of its own instant."""
    for _ in range(_MOST_AT_ONCE):
        due = min(_dues(state, rules), key=lambda each: each[0], default=None)
        if due is None or due[0] > now:
            break
        state = _happened(state, rules, due[1], due[0], now)
    return incident_held.unasked(state)


def _dues(state: IncidentState, rules: IncidentRules) -> list[tuple[datetime, str]]:
    """At the same instant, the first of the list goes first."""
    found: list[tuple[datetime | None, str]] = []
    match state.phase:
        case Phase.PENDING:
            wanted = rules.open_after
            last = max(state.first_alerts, default=state.opened_at)
            forgotten = last + (wanted.within if wanted else _A_MOMENT)
            found = incident_held.dues(state, rules) or [(forgotten, "forgotten")]
        case Phase.TRIGGERED | Phase.ACKNOWLEDGED:
            found = _dues_of_open(state, rules)
        case Phase.RESOLVED:
            closed = state.resolved_at and state.resolved_at + rules.reopen_within
            found = incident_held.dues(state, rules) or [(closed, "closed")]
        case Phase.CLOSED:
            pass
    return [(at, what) for at, what in found if at is not None]


def _dues_of_open(state: IncidentState, rules: IncidentRules) -> list[tuple[datetime | None, str]]:
    found: list[tuple[datetime | None, str]] = []
    if resolves_by_itself(state, rules) and not state.firing:
        found.append((quiet_at(state.changes, rules.flapping), "quiet"))
    if state.merged_into:
        return found
    if state.snoozed_until:
        return [*found, (state.snoozed_until, "woken")]
    if state.phase is Phase.ACKNOWLEDGED:
        if rules.acknowledged_for is not None and state.acknowledged_at:
            found.append((state.acknowledged_at + rules.acknowledged_for, "acknowledged too long"))
        return found
    if state.triggered_at and (state.missed_at is None or state.missed_at < state.triggered_at):
        found.append((state.triggered_at + rules.response.of(state.severity), "target missed"))
    if state.escalation:
        found.append((state.escalation.due_at, "level"))
    return found


def _happened(state: IncidentState, rules: IncidentRules, what: str, at: datetime, now: datetime) -> IncidentState:
    match what:
        case "level":
            escalation = state.escalation
            if escalation is None:
                return state
            return paged(state, rules, Due(level=escalation.level, cycle=escalation.cycle, at=at), now)
        case "target missed":
            target = format_duration(rules.response.of(state.severity))
            text = f"nobody has acknowledged it within {target}, the target for {state.severity}"
            return noted(state.model_copy(update={"missed_at": max(at, state.triggered_at or at)}), now, text)
        case "acknowledged too long":
            lasted = format_duration(rules.acknowledged_for) if rules.acknowledged_for is not None else "too long"
            text = f"acknowledged for {lasted} by {state.acknowledged_by} and not resolved: it escalates again"
            return triggered(state, rules, now, text, at=at)
        case "woken":
            return triggered(state, rules, now, "the snooze is over", at=at)
        case "quiet":
            return resolved(state, rules, now, "everything has cleared, and it has stopped flapping")
        case incident_held.LOOK | incident_held.LET_GO:
            return incident_held.happened(state, rules, what, now)
        case "forgotten":
            return _closed(state, now, f"not opened: {_why_forgotten(state, rules, at)}")
        case _:
            late = ", late" if now - at > LATE else ""
            return _closed(state, now, f"closed{late}")


def _why_forgotten(state: IncidentState, rules: IncidentRules, at: datetime) -> str:
    wanted = rules.open_after
    if wanted is None or not state.count:
        return "nothing that it held fires any more"
    came = len(remembered(state.first_alerts, wanted.within, at))
    number = max(came, min(state.count, wanted.alerts - 1))
    return f"only {number} of {wanted.alerts} alerts came within {format_duration(wanted.within)}"


def _closed(state: IncidentState, now: datetime, text: str) -> IncidentState:
    return noted(state.model_copy(update={"phase": Phase.CLOSED, "closed_at": now, "escalation": None}), now, text)
