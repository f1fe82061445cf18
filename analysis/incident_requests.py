"""Which requests an incident has heard, so that one which is sent again is not counted again."""

from analysis.incident_list import key_of
from models.alert import Alert
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
    if state.phase in {Phase.RESOLVED, Phase.CLOSED}:
        return signal.alerts
    return tuple(alert for alert in signal.alerts if not _fires(state, alert))


def remembering(state: IncidentState, signal: AlertSignal, what: str) -> IncidentState:
    if not signal.request:
        return state
    if what == "fired":
        state = forgetting_clears(state, signal.request)
    others = (name for name in state.requests if name != _name(signal, what))
    return state.model_copy(update={"requests": (*others, _name(signal, what))[-REQUESTS_KEPT:]})


def forgetting_clears(state: IncidentState, request: str) -> IncidentState:
    """What it says that fires is heard anew, so what it says that cleared after that is to be heard anew, too."""
    name = f"{request}/cleared"
    if not request or name not in state.requests:
        return state
    return state.model_copy(update={"requests": tuple(each for each in state.requests if each != name)})


def _fires(state: IncidentState, alert: Alert) -> bool:
    """Of one that is not told from others it is not known, so it counts as firing until a person resolves them."""
    known = state.alerts.get(key_of(alert))
    return known.fires if known else state.untracked > 0


def _name(signal: AlertSignal, what: str) -> str:
    return f"{signal.request}/{what}"
