"""Alerts that an incident holds: silenced or inhibited, they open it once that is over and they still fire.

Only an incident that is not open holds any. Whether something still keeps them is known to the front door alone, which
is asked now and then; what it answers counts for those that are held still by then, so that one which has cleared
meanwhile opens nothing.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from analysis.incident_alerts import fired
from analysis.incident_changes import noted
from analysis.incident_list import key_of, named, without_held
from models.held import LARGEST_HELD, LOOK_AGAIN, MOST_HELD, HeldAlert, HeldSignal, LookAgain, LookedAgain
from models.incident import AlertSignal, IncidentRules, IncidentState, Phase

LOOK, LET_GO = "look again", "let go"
_A_MOMENT = timedelta(seconds=2)


def held(state: IncidentState, rules: IncidentRules, signal: HeldSignal, now: datetime) -> IncidentState:
    """These fire, and page nobody now. Where it is open they join it, as all alerts of an open incident do."""
    if not signal.alerts:
        return state
    if state.phase.open:
        return _opened_by(state, rules, signal.alerts, now, signal.request)
    if state.phase is Phase.CLOSED:  # and not ended yet
        before = Phase.RESOLVED if state.triggered_at else Phase.PENDING
        state = state.model_copy(update={"phase": before, "closed_at": None})
    kept, beyond = _kept(state, signal.alerts, now)
    fresh = [each for key, each in kept.items() if key not in state.held]
    state = state.model_copy(update={"held": kept, "held_by": signal.front_door})
    if not state.looking:
        state = state.model_copy(update={"look_due": _next_look(state, now)})
    if fresh:
        state = noted(state, now, f"held: {named([each.alert.title for each in fresh])}: {fresh[0].hold.why}")
    if beyond:
        text = "more than an incident holds; they open it only if they are sent again"
        state = noted(state, now, f"not held: {named([each.alert.title for each in beyond])}: {text}")
    return state


def joined(state: IncidentState, rules: IncidentRules, now: datetime) -> IncidentState:
    """Once it is open, for whatever reason, it holds nothing any more."""
    if not state.held or not state.phase.open:
        return state
    return _opened_by(without_held(state, state.held), rules, state.held.values(), now)


def question(state: IncidentState, run_id: str) -> LookAgain:
    """What the front door is asked, the same when it is asked again."""
    alerts = tuple(each.alert for each in state.held.values())
    return LookAgain(incident=state.ref, alerts=alerts, request=f"{run_id}/held/{state.looks}")


def looked(state: IncidentState, rules: IncidentRules, found: LookedAgain, now: datetime) -> IncidentState:
    """The front door has answered. Of what came meanwhile it says nothing, and what is over by now is over."""
    state = state.model_copy(update={"looking": False})
    moved = [key for key in found.elsewhere if key in state.held]
    if moved:
        where = ", ".join(dict.fromkeys(found.elsewhere[key] for key in moved))
        text = f"not held any more: {_titles(state, moved)} went to {where}"
        state = noted(without_held(state, moved), now, text)
    free = [key for key in found.free if key in state.held]
    opening = [state.held[key] for key in free]
    if free:
        text = f"nothing keeps it any more: {_titles(state, free)}"
        state = noted(without_held(state, free), now, text)
    kept = {key: each.model_copy(update={"hold": found.held.get(key, each.hold)}) for key, each in state.held.items()}
    state = state.model_copy(update={"held": kept})
    state = state.model_copy(update={"look_due": _next_look(state, now)})
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
    gravest = min(each.severity for each in alerts)
    signal = AlertSignal(alerts=tuple(each.alert for each in alerts), request=request, severity=gravest)
    return fired(state, rules, signal, now)


def _kept(
    state: IncidentState, alerts: Iterable[HeldAlert], now: datetime
) -> tuple[dict[str, HeldAlert], list[HeldAlert]]:
    """All that are held now, and those for which there is no room."""
    kept = dict(state.held)
    size = sum(_size(each) for each in kept.values())
    beyond: list[HeldAlert] = []
    for each in alerts:
        key = key_of(each.alert)
        others = size - (_size(kept[key]) if key in kept else 0)
        if (key not in kept and len(kept) >= MOST_HELD) or others + _size(each) > LARGEST_HELD:
            beyond.append(each)
            continue
        kept[key] = each.model_copy(update={"heard_at": now})
        size = others + _size(kept[key])
    return kept, beyond


def _size(each: HeldAlert) -> int:
    return len(each.model_dump_json().encode())


def _next_look(state: IncidentState, now: datetime) -> datetime | None:
    """When the first may be free. By the front door's clock that may be a little later, so it is asked again soon."""
    if not state.held:
        return None
    ends = [each.hold.until for each in state.held.values() if each.hold.until]
    return max(min([*ends, now + LOOK_AGAIN]), now + _A_MOMENT)


def _kept_until(each: HeldAlert, rules: IncidentRules) -> datetime:
    return each.heard_at + rules.hold_for
