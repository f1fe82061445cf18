"""Which requests an incident has heard, so that one which is sent again is not counted again."""

from analysis.incident_list import key_of
from models.alert import Alert
from models.held import HeldSignal
from models.incident import REQUESTS_KEPT, AlertSignal, IncidentState, Phase


def heard_already(state: IncidentState, signal: AlertSignal, what: str) -> bool:
    return bool(signal.request) and _name(signal, what) in state.requests


def news_of(state: IncidentState, signal: AlertSignal) -> tuple[Alert, ...]:
    """Those alerts of a request that fire which say something new.

    A request that was heard says nothing new of what fires still. Of what has cleared since, or was resolved, it does:
    a sender whose request failed in part gives the same name to the same words later, and was answered that they are
    taken.
    """
    if not heard_already(state, signal, "fired"):
        return signal.alerts
    over = state.phase in {Phase.RESOLVED, Phase.CLOSED}
    old = cleared_again(state, signal)
    return tuple(alert for alert in signal.alerts if key_of(alert) not in old and (over or not _fires(state, alert)))


def remembering(state: IncidentState, signal: AlertSignal, what: str) -> IncidentState:
    if not signal.request:
        return state
    others = (name for name in state.requests if name != _name(signal, what))
    return state.model_copy(update={"requests": (*others, _name(signal, what))[-REQUESTS_KEPT:]})


def cleared_again(state: IncidentState, signal: AlertSignal | HeldSignal) -> frozenset[str]:
    """Of the alerts that a request says to have cleared after they fired, those of which that was heard already: sent
    again it says nothing new of them.
    """
    heard = bool(signal.request) and f"{signal.request}/cleared" in state.requests
    return frozenset(signal.clears) if heard else frozenset()


def _fires(state: IncidentState, alert: Alert) -> bool:
    """Of one that is not told from others it is not known, so it counts as firing until a person resolves them."""
    known = state.alerts.get(key_of(alert))
    return known.fires if known else state.untracked > 0


def _name(signal: AlertSignal, what: str) -> str:
    return f"{signal.request}/{what}"
