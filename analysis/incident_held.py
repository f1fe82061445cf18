"""Alerts that an incident holds: silenced or inhibited, they open it once that is over and they still fire.

Only an incident that is not open holds any. Whether something still keeps them is known to the front door alone, which
is asked now and then. What it answers counts for what is held still, and by the same hold: what has cleared meanwhile
opens nothing, and neither does what somebody has silenced anew.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from analysis.incident_alerts import fired
from analysis.incident_changes import noted
from analysis.incident_list import key_of, named, without_held
from analysis.incident_requests import cleared_again
from models.held import LARGEST_HELD, LONGEST_HOLD, LOOK_AGAIN, MOST_HELD, HeldAlert, HeldSignal, LookedAgain
from models.incident import AlertSignal, IncidentRules, IncidentState, Phase

LOOK, LET_GO = "look again", "let go"
_A_MOMENT = timedelta(seconds=2)


def held(state: IncidentState, rules: IncidentRules, signal: HeldSignal, now: datetime) -> IncidentState:
    """These fire, and page nobody now. Where it is open they join it, as all alerts of an open incident do."""
    over = cleared_again(state, signal)
    alerts = [each for each in signal.alerts if key_of(each.alert) not in over]
    if not alerts:
        return state
    if state.phase.open:
        return _opened_by(state, rules, alerts, now, signal.request)
    if state.phase is Phase.CLOSED:  # and not ended yet
        before = Phase.RESOLVED if state.triggered_at else Phase.PENDING
        state = state.model_copy(update={"phase": before, "closed_at": None})
    kept, beyond = _kept(state.held, alerts, now)
    fresh = [each for key, each in kept.items() if key not in state.held]
    state = state.model_copy(update={"held": kept, "held_by": signal.front_door, "unheld": state.unheld + len(beyond)})
    if not state.looking:
        # One that is sent again and again is not to keep the others from being looked at.
        due = _next_look(kept, now)
        state = state.model_copy(update={"look_due": min(state.look_due or due, due) if kept else None})
    if fresh:
        state = noted(state, now, f"held: {named([each.alert.title for each in fresh])}: {fresh[0].hold.why}")
    if beyond and state.unheld == len(beyond):
        text = "more than an incident holds; such alerts open it only if they are sent again"
        state = noted(state, now, f"not held: {named([each.alert.title for each in beyond])}: {text}")
    return state


def joined(state: IncidentState, rules: IncidentRules, now: datetime) -> IncidentState:
    """Once it is open, for whatever reason, it holds nothing any more."""
    if not state.held or not state.phase.open:
        return state
    return _opened_by(without_held(state, state.held), rules, tuple(state.held.values()), now)


def unasked(state: IncidentState) -> IncidentState:
    """Of nothing, nothing is asked."""
    if state.held or not (state.looking or state.look_due or state.unheld):
        return state
    return state.model_copy(update={"looking": False, "look_due": None, "unheld": 0})


def looked(state: IncidentState, rules: IncidentRules, found: LookedAgain, now: datetime) -> IncidentState:
    """The front door has answered. What it does not know of, or by another hold, waits for the next look."""
    heard = {
        key: each for key, each in found.placements.items() if key in state.held and state.held[key].hold == each.before
    }
    state = state.model_copy(update={"looking": False})
    moved = [key for key, each in heard.items() if each.moved_to]
    free = [key for key, each in heard.items() if not each.moved_to and each.hold is None]
    if moved:
        where = named(list(dict.fromkeys(heard[key].moved_to for key in moved)))
        state = noted(state, now, f"not held any more: {_titles(state, moved)} went to {where}")
    if free:
        state = noted(state, now, f"nothing keeps it any more: {_titles(state, free)}")
    opening = tuple(state.held[key].model_copy(update={"severity": heard[key].severity}) for key in free)
    kept = {
        key: each.model_copy(update={"hold": heard[key].hold}) if key in heard else each
        for key, each in without_held(state, (*moved, *free)).held.items()
    }
    state = state.model_copy(update={"held": kept, "look_due": _next_look(kept, now) if kept else None})
    return _opened_by(state, rules, opening, now) if opening else state


def happened(state: IncidentState, rules: IncidentRules, what: str, now: datetime) -> IncidentState:
    """One of `dues` is due. What nobody has sent again for so long is not waited for any more."""
    if what == LOOK:
        return state.model_copy(update={"looks": state.looks + 1, "looking": True, "look_due": None})
    old = [key for key, each in state.held.items() if _kept_until(each, rules) <= now]
    text = f"not held any more: {_titles(state, old)} was not sent again for too long"
    return noted(without_held(state, old), now, text)


def dues(state: IncidentState, rules: IncidentRules) -> list[tuple[datetime | None, str]]:
    """When it is to be looked again, and when the first is let go of."""
    if not state.held:
        return []
    oldest = min(_kept_until(each, rules) for each in state.held.values())
    return [(state.look_due, LOOK), (oldest, LET_GO)]


def _titles(state: IncidentState, keys: Iterable[str]) -> str:
    return named([state.held[key].alert.title for key in keys])


def _opened_by(
    state: IncidentState, rules: IncidentRules, alerts: Collection[HeldAlert], now: datetime, request: str = ""
) -> IncidentState:
    gravest_first = sorted(alerts, key=lambda each: each.severity)
    signal = AlertSignal(
        alerts=tuple(each.alert for each in gravest_first), request=request, severity=gravest_first[0].severity
    )
    return fired(state, rules, signal, now)


def _kept(
    held_already: Mapping[str, HeldAlert], alerts: Iterable[HeldAlert], now: datetime
) -> tuple[dict[str, HeldAlert], list[HeldAlert]]:
    """All that are held now, and those for which there is no room. Of one that is held already, what was heard first
    stays where what is heard now is too large.
    """
    kept = dict(held_already)
    size = sum(each.size for each in kept.values())
    beyond: list[HeldAlert] = []
    for sent in alerts:
        each = sent if sent.size else sent.model_copy(update={"size": len(sent.model_dump_json().encode())})
        key = key_of(each.alert)
        known = kept.get(key)
        others = size - known.size if known else size
        fits = others + each.size <= LARGEST_HELD and (known is not None or len(kept) < MOST_HELD)
        if not fits and known is None:
            beyond.append(each)
            continue
        now_held = each if fits or known is None else known.model_copy(update={"hold": each.hold})
        kept[key] = now_held.model_copy(update={"heard_at": now})
        size = others + kept[key].size
    return kept, beyond


def _next_look(alerts: Mapping[str, HeldAlert], now: datetime) -> datetime:
    """When the first may be free. By the front door's clock that may be a little later, so it is asked again soon."""
    ends = [each.hold.until for each in alerts.values() if each.hold.until]
    return max(min([*ends, now + LOOK_AGAIN]), now + _A_MOMENT)


def _kept_until(each: HeldAlert, rules: IncidentRules) -> datetime:
    return each.heard_at + min(rules.hold_for, LONGEST_HOLD)
