"""Alerts that open nothing: silenced, in maintenance, or because what their service stands on is down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.matching import label_of, test_holds
from models.alert import Alert, Suppressed, SuppressedBy
from models.ids import IncidentRef
from models.incident_spec import Silence
from models.matching import Operator, Test, test_of
from models.severity import Severity

_A_MOMENT = timedelta(seconds=1)


class OpenNow:
    """Incidents that are open and how grave each is; those of a service are found without going through all."""

    def __init__(self, incidents: Mapping[IncidentRef, Severity] | None = None) -> None:
        self._severities: dict[IncidentRef, Severity] = {}
        self._of: dict[tuple[str, str], dict[Severity, dict[IncidentRef, None]]] = {}
        for ref, severity in (incidents or {}).items():
            self.add(ref, severity)

    def __contains__(self, ref: object) -> bool:
        return ref in self._severities

    def add(self, ref: IncidentRef, severity: Severity) -> None:
        self.discard(ref)
        self._severities[ref] = severity
        self._of.setdefault((ref.environment, ref.service), {}).setdefault(severity, {})[ref] = None

    def discard(self, ref: IncidentRef) -> None:
        severity = self._severities.pop(ref, None)
        if severity is not None:
            del self._of[ref.environment, ref.service][severity][ref]

    def as_grave(self, environment: str, service: str, severity: Severity) -> IncidentRef | None:
        """One of a service that is at least so grave."""
        found = self._of.get((environment, service), {})
        return next((ref for each in Severity if each <= severity for ref in found.get(each, ())), None)


@dataclass(frozen=True)
class _Ready:
    position: int
    silence: Silence
    tests: tuple[Test, ...]


class Silencer:
    """Silences, made ready for many alerts at one moment. Most ask for a label's exact value, and are found by it."""

    def __init__(self, silences: Iterable[Silence], now: datetime) -> None:
        self._now = now
        self._exact: dict[str, dict[str, list[_Ready]]] = {}
        self._others: list[_Ready] = []
        self._ends: dict[int, datetime | None] = {}
        for position, silence in enumerate(silences):
            ready = _Ready(position, silence, tuple(test_of(text) for text in silence.match))
            exact = next((test for test in ready.tests if test.operator is Operator.IS), None)
            if exact is None:
                self._others.append(ready)
            else:
                self._exact.setdefault(exact.name, {}).setdefault(exact.text, []).append(ready)

    def silenced(self, alert: Alert) -> Suppressed | None:
        """By the silence that lasts longest of those that match."""
        holding = [
            (until, -ready.position, ready.silence)
            for ready in self._asked(alert)
            if all(test_holds(test, alert) for test in ready.tests) and (until := self._until(ready)) is not None
        ]
        if not holding:
            return None
        until, _, silence = max(holding, key=lambda each: each[:2])
        what = "the maintenance window" if silence.every else "the silence"
        comment = f" ({silence.comment})" if silence.comment else ""
        why = f"{what} {silence.name}{comment} is in force until {until:%Y-%m-%d %H:%M} UTC"
        return Suppressed(alert=alert, by=SuppressedBy.SILENCE, why=why, until=until)

    def _asked(self, alert: Alert) -> Iterable[_Ready]:
        yield from self._others
        for name, by_text in self._exact.items():
            yield from by_text.get(label_of(alert, name), ())

    def _until(self, ready: _Ready) -> datetime | None:
        """When a silence ends; None where it is not in force now."""
        if ready.position not in self._ends:
            windows = ready.silence.windows(self._now, self._now + _A_MOMENT)
            self._ends[ready.position] = max(
                (window.ends for window in windows if window.holds(self._now)), default=None
            )
        return self._ends[ready.position]


class Inhibition:
    """What services stand on, made ready for many alerts."""

    def __init__(self, depends_on: Mapping[str, Sequence[str]]) -> None:
        self._depends_on = depends_on
        self._beneath: dict[str, tuple[str, ...]] = {}

    def inhibited(self, alert: Alert, severity: Severity, open_incidents: OpenNow) -> Suppressed | None:
        """By an open incident, at least as grave, of a service that the alert's service stands on, directly or not.

        A service that stands on itself in a circle is not inhibited by itself.
        """
        if alert.service not in self._beneath:
            self._beneath[alert.service] = dependencies(alert.service, self._depends_on)
        for service in self._beneath[alert.service]:
            down = open_incidents.as_grave(alert.environment, service, severity)
            if down:
                why = f"{alert.service} depends on {service}, of which the incident {down} is open"
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
