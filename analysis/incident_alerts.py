"""What alerts do to an incident: open it, add to it, resolve it, reopen it."""

from collections.abc import Sequence
from datetime import datetime

from analysis.flapping import flaps, quiet_at, remembered
from analysis.incident_changes import noted, raised, resolved, resolves_by_itself, senseless, told_whole, triggered
from analysis.incident_list import NAMED, key_of, named, tracked, without_held
from analysis.incident_requests import heard_already, news_of, remembering
from models.alert import Alert
from models.incident import AlertSignal, IncidentRequest, IncidentRules, IncidentState, Phase
from models.severity import Severity

_CHANGES_KEPT = 200
_DID_NOT_FIRE = "it did not fire here"


def opened(request: IncidentRequest, now: datetime) -> IncidentState:
    """The first state."""
    state = IncidentState(
        ref=request.ref,
        title=request.title,
        description=request.description,
        links=request.links,
        severity=request.severity,
        by_hand=bool(request.opened_by),
        began_held=request.held and not request.opened_by,
        opened_at=now,
    )
    if request.begins_pending:
        return state.model_copy(update={"phase": Phase.PENDING})
    if request.opened_by:
        note = f": {request.note}" if request.note else ""
        return triggered(state, request.rules, now, f"opened as {request.severity}{note}", by=request.opened_by)
    return triggered(state, request.rules, now, f"opened as {request.severity}: {request.title}")


def fired(state: IncidentState, rules: IncidentRules, signal: AlertSignal, now: datetime) -> IncidentState:
    """All alerts of one request fire. The same request again changes nothing while they do."""
    alerts = news_of(state, signal)
    if not alerts:
        return state
    before, was_firing = state, state.firing
    state = without_held(_named_by(state, signal), map(key_of, alerts))
    state = tracked(remembering(state, signal, "fired"), alerts, now)
    if not was_firing:
        state = state.model_copy(update={"changes": (*state.changes, now)[-_CHANGES_KEPT:]})
    state = _waiting(raised(state, rules, signal.severity, now), rules, alerts, now)
    is_news = (state.phase.open, state.severity) != (before.phase.open, before.severity)
    return told_whole(state) if is_news else state


def _named_by(state: IncidentState, signal: AlertSignal) -> IncidentState:
    """What began with alerts that were held is called by what opens it, and is as grave: they may have cleared."""
    if not state.began_held:
        return state
    gravest = min(signal.alerts, key=lambda alert: alert.severity or Severity.SEV4)
    known = state.held.get(key_of(gravest))
    told = known.alert if known else gravest
    called = {"title": told.title, "description": told.description, "links": told.links}
    severity = signal.severity or state.severity
    return state.model_copy(update={**called, "severity": severity, "began_held": False})


def cleared(state: IncidentState, rules: IncidentRules, signal: AlertSignal, now: datetime) -> IncidentState:
    """All alerts of one request clear. It resolves once nothing fires any more, unless it flaps or is to be resolved by
    a person.
    """
    if heard_already(state, signal, "cleared") or not signal.alerts:
        return state
    was_firing = state.firing
    state = remembering(state, signal, "cleared")
    alerts = dict(state.alerts)
    strange: list[str] = []
    for alert in signal.alerts:
        known = alerts.get(key_of(alert))
        if known is not None and known.fires:
            alerts[key_of(alert)] = known.model_copy(update={"fires": False, "since": now})
        elif key_of(alert) not in state.held:
            strange.append(alert.title)
    state = without_held(state.model_copy(update={"alerts": alerts}), map(key_of, signal.alerts))
    done = [alert.title for alert in signal.alerts if alert.title not in strange]
    if done:
        state = noted(state, now, f"cleared: {named(done)}")
    if strange:
        state = with_strange(state, strange)
    return turned_quiet(state, rules, now) if was_firing else state


def with_strange(state: IncidentState, titles: Sequence[str]) -> IncidentState:
    """These cleared and did not fire here, which is written down by `strange_noted`, once for all that are heard at
    once: in a storm clears come by the thousand.
    """
    kept = (*state.strange_titles, *titles)[:NAMED]
    return state.model_copy(update={"strange": state.strange + len(titles), "strange_titles": kept})


def strange_noted(state: IncidentState, now: datetime) -> IncidentState:
    if not state.strange:
        return state
    text = f"that {named(state.strange_titles, state.strange)} cleared"
    return senseless(state.model_copy(update={"strange": 0, "strange_titles": ()}), now, text, _DID_NOT_FIRE)


def turned_quiet(state: IncidentState, rules: IncidentRules, now: datetime) -> IncidentState:
    """After something cleared: nothing may fire any more."""
    if state.firing:
        return state
    state = state.model_copy(update={"changes": (*state.changes, now)[-_CHANGES_KEPT:]})
    if not state.phase.open:
        return state
    if not resolves_by_itself(state, rules):
        return noted(state, now, "everything has cleared; it waits for a person to resolve it")
    if flaps(state.changes, rules.flapping, now):
        until = quiet_at(state.changes, rules.flapping)
        when = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        return noted(state, now, f"it flaps ({len(state.changes)} changes); it stays open while that goes on{when}")
    return resolved(state, rules, now, "everything that fired has cleared")


def _waiting(state: IncidentState, rules: IncidentRules, alerts: Sequence[Alert], now: datetime) -> IncidentState:
    """It waits for somebody, or for more alerts, now that these fire."""
    match state.phase:
        case Phase.PENDING:
            return _perhaps_opened(state, rules, len(alerts), now)
        case Phase.RESOLVED | Phase.CLOSED:
            if state.triggered_at is None:
                return _perhaps_opened(_pending_again(state, alerts[0], now), rules, len(alerts), now)
            return triggered(state, rules, now, f"reopened: {alerts[0].title} fires again")
        case Phase.TRIGGERED | Phase.ACKNOWLEDGED:
            return state


def _pending_again(state: IncidentState, alert: Alert, now: datetime) -> IncidentState:
    """It ended before it was opened, so it takes as many alerts as ever to page somebody."""
    changes = {"phase": Phase.PENDING, "resolved_at": None, "resolved_by": "", "closed_at": None}
    return noted(state.model_copy(update=changes), now, f"pending again: {alert.title} fires")


def _perhaps_opened(state: IncidentState, rules: IncidentRules, alerts: int, now: datetime) -> IncidentState:
    wanted = rules.open_after
    if wanted is None:
        return triggered(state, rules, now, f"opened as {state.severity}: {state.title}")
    times = (*remembered(state.first_alerts, wanted.within, now), *[now] * min(alerts, wanted.alerts))
    if len(times) < wanted.alerts:
        return state.model_copy(update={"first_alerts": times})
    return triggered(state, rules, now, f"opened as {state.severity}: {len(times)} alerts came, as many as it takes")
