"""What alerts do to an incident: open it, add to it, resolve it, reopen it."""

from collections.abc import Sequence
from datetime import datetime

from analysis.escalation import hastened
from analysis.flapping import flaps, quiet_at, remembered
from analysis.incident_changes import noted, resolved, senseless, told_whole, triggered
from models.alert import Alert
from models.incident import (
    MOST_TRACKED,
    REQUESTS_KEPT,
    AlertSignal,
    IncidentRequest,
    IncidentRules,
    IncidentState,
    Phase,
    TrackedAlert,
)
from models.severity import Severity

_CHANGES_KEPT = 200
_NAMED = 5
_TITLE_KEPT = 100


def opened(request: IncidentRequest, now: datetime) -> IncidentState:
    """The first state."""
    state = IncidentState(
        ref=request.ref,
        title=request.title,
        description=request.description,
        links=request.links,
        severity=request.severity,
        opened_at=now,
    )
    if request.begins_pending:
        return state.model_copy(update={"phase": Phase.PENDING})
    if request.opened_by:
        note = f": {request.note}" if request.note else ""
        return triggered(state, request.rules, now, f"opened as {request.severity}{note}", by=request.opened_by)
    return triggered(state, request.rules, now, f"opened as {request.severity}: {request.title}")


def fired(state: IncidentState, rules: IncidentRules, signal: AlertSignal, now: datetime) -> IncidentState:
    """All alerts of one request fire. The same request again changes nothing."""
    if _heard(state, signal, "fired") or not signal.alerts:
        return state
    was_firing = state.firing
    state = _remembering(state, signal, "fired")
    state = _tracked(state, signal.alerts, now)
    if not was_firing:
        state = state.model_copy(update={"changes": (*state.changes, now)[-_CHANGES_KEPT:]})
    state = _raised(state, rules, signal.severity, now)
    match state.phase:
        case Phase.PENDING:
            return _perhaps_opened(state, rules, len(signal.alerts), now)
        case Phase.RESOLVED | Phase.CLOSED:
            return told_whole(triggered(state, rules, now, f"reopened: {signal.alerts[0].title} fires again"))
        case Phase.TRIGGERED | Phase.ACKNOWLEDGED:
            return state


def cleared(state: IncidentState, rules: IncidentRules, signal: AlertSignal, now: datetime) -> IncidentState:
    """All alerts of one request clear. It resolves once nothing fires any more, unless it flaps or is to be resolved by
    a person.
    """
    if _heard(state, signal, "cleared") or not signal.alerts:
        return state
    was_firing = state.firing
    state = _remembering(state, signal, "cleared")
    alerts = dict(state.alerts)
    strange: list[str] = []
    for alert in signal.alerts:
        known = alerts.get(_key(alert))
        if known is None or not known.fires:
            strange.append(alert.title)
        else:
            alerts[_key(alert)] = known.model_copy(update={"fires": False, "since": now})
    state = state.model_copy(update={"alerts": alerts})
    done = [alert.title for alert in signal.alerts if alert.title not in strange]
    if done:
        state = noted(state, now, f"cleared: {_named(done)}")
    if strange:
        state = senseless(state, now, f"that {_named(strange)} cleared", "it did not fire here")
    return turned_quiet(state, rules, now) if was_firing else state


def turned_quiet(state: IncidentState, rules: IncidentRules, now: datetime) -> IncidentState:
    """After something cleared: nothing may fire any more."""
    if state.firing:
        return state
    state = state.model_copy(update={"changes": (*state.changes, now)[-_CHANGES_KEPT:]})
    if not state.phase.open:
        return state
    if not rules.auto_resolve:
        return noted(state, now, "everything has cleared; it waits for a person to resolve it")
    if flaps(state.changes, rules.flapping, now):
        until = quiet_at(state.changes, rules.flapping)
        when = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        return noted(state, now, f"it flaps ({len(state.changes)} changes); it stays open while that goes on{when}")
    return resolved(state, rules, now, "everything that fired has cleared")


def _perhaps_opened(state: IncidentState, rules: IncidentRules, alerts: int, now: datetime) -> IncidentState:
    wanted = rules.open_after
    if wanted is None:
        return triggered(state, rules, now, f"opened as {state.severity}: {state.title}")
    times = (*remembered(state.first_alerts, wanted.within, now), *[now] * min(alerts, wanted.alerts))
    if len(times) < wanted.alerts:
        return state.model_copy(update={"first_alerts": times})
    return triggered(state, rules, now, f"opened as {state.severity}: {len(times)} alerts came, as many as it takes")


def _raised(state: IncidentState, rules: IncidentRules, severity: Severity | None, now: datetime) -> IncidentState:
    if severity is None or severity >= state.severity:
        return state
    escalation = state.escalation and hastened(state.escalation, rules, severity)
    raised = state.model_copy(update={"severity": severity, "escalation": escalation})
    return noted(raised, now, f"raised from {state.severity} to {severity}")


def _tracked(state: IncidentState, fired_alerts: Sequence[Alert], now: datetime) -> IncidentState:
    alerts, untracked, fresh, again = dict(state.alerts), state.untracked, [], []
    for alert in fired_alerts:
        key = _key(alert)
        known = alerts.get(key)
        if known:
            if not known.fires:
                again.append(alert.title)
            since = known.since if known.fires else now
            alerts[key] = known.model_copy(update={"fires": True, "since": since, "count": known.count + 1})
        elif len(alerts) >= MOST_TRACKED:
            untracked += 1
        else:
            fresh.append(alert.title)
            alerts[key] = TrackedAlert(title=alert.title[:_TITLE_KEPT], source=alert.source, fires=True, since=now)
    if untracked and not state.untracked:
        state = noted(
            state, now, f"more than {MOST_TRACKED} different alerts: further ones are counted, and a person resolves it"
        )
    count = state.count + len(fired_alerts)
    state = state.model_copy(update={"alerts": alerts, "untracked": untracked, "count": count})
    if fresh:
        state = noted(state, now, f"fired: {_named(fresh)}")
    return noted(state, now, f"fired again: {_named(again)}") if again else state


def _named(titles: Sequence[str]) -> str:
    shown = "; ".join(titles[:_NAMED])
    return f"{shown}; and {len(titles) - _NAMED} more" if len(titles) > _NAMED else shown


def _key(alert: Alert) -> str:
    return f"{alert.source}:{alert.dedupe_key}"


def _heard(state: IncidentState, signal: AlertSignal, what: str) -> bool:
    return bool(signal.request) and f"{signal.request}/{what}" in state.requests


def _remembering(state: IncidentState, signal: AlertSignal, what: str) -> IncidentState:
    if not signal.request:
        return state
    return state.model_copy(update={"requests": (*state.requests, f"{signal.request}/{what}")[-REQUESTS_KEPT:]})
