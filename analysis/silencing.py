"""Alerts that open nothing: silenced, in maintenance, or because what their service stands on is down."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from analysis.matching import all_hold
from models.alert import Alert, Suppressed, SuppressedBy
from models.ids import IncidentRef
from models.incident_spec import Silence

_A_MOMENT = timedelta(seconds=1)


def silenced(alert: Alert, silences: Iterable[Silence], now: datetime) -> Suppressed | None:
    """By the silence that lasts longest of those that match."""
    holding = [
        (window.ends, silence)
        for silence in silences
        if all_hold(silence.match, alert)
        for window in silence.windows(now, now + _A_MOMENT)
        if window.holds(now)
    ]
    if not holding:
        return None
    until, silence = max(holding, key=lambda each: each[0])
    what = "the maintenance window" if silence.every else "the silence"
    comment = f" ({silence.comment})" if silence.comment else ""
    why = f"{what} {silence.name}{comment} is in force until {until:%Y-%m-%d %H:%M} UTC"
    return Suppressed(alert=alert, by=SuppressedBy.SILENCE, why=why, until=until)


def inhibited(
    alert: Alert, depends_on: Mapping[str, Sequence[str]], open_incidents: Iterable[IncidentRef]
) -> Suppressed | None:
    """By an open incident of a service that the alert's service stands on, directly or not.

    A service that stands on itself in a circle is not inhibited by itself.
    """
    beneath = dependencies(alert.service, depends_on)
    if not beneath:
        return None
    down = {ref.service: ref for ref in open_incidents if ref.environment == alert.environment}
    for service in beneath:
        if service in down:
            why = f"{alert.service} depends on {service}, of which the incident {down[service]} is open"
            return Suppressed(alert=alert, by=SuppressedBy.INHIBITION, why=why)
    return None


def dependencies(service: str, depends_on: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Everything that a service stands on, the nearest first; never itself."""
    found: dict[str, None] = {}
    due = list(depends_on.get(service, ()))
    while due:
        each = due.pop(0)
        if each != service and each not in found:
            found[each] = None
            due.extend(depends_on.get(each, ()))
    return tuple(found)
