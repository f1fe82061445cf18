"""From a catalog and an alert to the incident that it belongs to, or to the reason why it opens none.

Whoever takes alerts in has `Placing` place each, puts those of one incident together with `by_incident`, and sends each
part as one signal, or two: what fired, with a start, then what cleared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

from analysis.alert_making import cut
from analysis.incident_list import key_of
from analysis.routing import incident_key, route_of, severity_for
from analysis.silencing import Inhibition, OpenNow, Silencer
from analysis.storm import storms, umbrella
from models.alert import Alert, AlertStatus, Suppressed
from models.held import LARGEST_HELD, HeldAlert, HeldSignal, Hold
from models.ids import IncidentRef, Name
from models.incident import AlertSignal, EscalationLevel, IncidentRequest, IncidentRules
from models.incident_spec import DEFAULT_POLICY, IncidentsSpec, OpenAfter, Silence
from models.notification import NotifyTarget
from models.severity import Severity

_LONGEST_DESCRIPTION = 1_000
"""Of an alert's text, in the pages of its incident."""


_LONGEST_WHY = 500

MOST_IN_A_SIGNAL = 1_000
"""Alerts: with titles as long as may be they take 1.5 MB, and Temporal carries 2 MiB."""


class Routing(Protocol):
    """What of a catalog decides where an alert goes."""

    @property
    def incidents(self) -> IncidentsSpec: ...

    @property
    def depends_on(self) -> Mapping[Name, Sequence[Name]]: ...


@dataclass(frozen=True)
class Surroundings:
    """What is known beside the catalog when an alert comes in.

    `open_incidents` are those that are triggered or acknowledged; `opened` is when the last new ones began; `silences`
    are those that are in force beside the catalog's.
    """

    now: datetime
    open_incidents: OpenNow = field(default_factory=OpenNow)
    opened: Sequence[datetime] = ()
    silences: Sequence[Silence] = ()


@dataclass(frozen=True)
class Placed:
    """The incident that an alert belongs to, and what keeps it from opening that. `policy` and `open_after` are for the
    case that it begins one.
    """

    alert: Alert
    ref: IncidentRef
    severity: Severity
    policy: str = DEFAULT_POLICY
    open_after: OpenAfter | None = None
    umbrella: bool = False
    suppressed: Suppressed | None = None

    @property
    def begins_pending(self) -> bool:
        """Whether an incident that it begins pages nobody yet, and may never."""
        return self.suppressed is not None or (self.open_after is not None and self.open_after.several)

    @cached_property
    def held(self) -> HeldAlert | None:
        """What its incident holds of it: all that rules read, and what an incident says that it opens."""
        if self.suppressed is None:
            return None
        kept = {"annotations": {}, "description": cut(self.alert.description, _LONGEST_DESCRIPTION)}
        alert, hold = self.alert.model_copy(update=kept), hold_by(self.suppressed)
        size = len(alert.model_dump_json().encode()) + len(hold.model_dump_json().encode())
        return HeldAlert(alert=alert, severity=self.severity, hold=hold, size=size)


@dataclass(frozen=True)
class ToSend:
    """What one incident is told together, what cleared after the rest; and what it begins with if there is none.

    The signals hold what an incident goes by; `alerts` are the same with all that was said of them.
    """

    request: IncidentRequest
    fired: AlertSignal | None = None
    held: HeldSignal | None = None
    cleared: AlertSignal | None = None
    alerts: tuple[Alert, ...] = field(default=())


class Placing:
    """Places the alerts of one request; what all of them are held against is made ready once."""

    def __init__(self, catalog: Routing, silences: Sequence[Silence], now: datetime) -> None:
        self._spec = catalog.incidents
        self._silencer = Silencer((*self._spec.silences, *silences), now)
        self._inhibition = Inhibition(catalog.depends_on)

    def place(self, alert: Alert, around: Surroundings) -> Placed:
        """What cleared is never suppressed: it goes where it would go if it fired now. After an edit of the routes or
        of `group_by` that may be another incident than the one it fired into, which then waits for a person.
        """
        spec = self._spec
        route = route_of(alert, spec)
        ref = IncidentRef(
            environment=alert.environment, service=alert.service, key=incident_key(alert, route.group_by or ())
        )
        placed = Placed(
            alert=alert,
            ref=ref,
            severity=severity_for(alert, spec, route),
            policy=route.policy or DEFAULT_POLICY,
            open_after=route.open_after,
        )
        if alert.status is AlertStatus.CLEARED or ref in around.open_incidents:
            return placed
        suppressed = self._silencer.silenced(alert) or self._inhibition.inhibited(
            alert, placed.severity, around.open_incidents
        )
        if suppressed:
            return replace(placed, suppressed=suppressed)
        if storms(around.opened, spec.storm, around.now):
            return in_storm(placed, spec)
        return placed


def place(alert: Alert, catalog: Routing, around: Surroundings) -> Placed:
    """One alert by itself."""
    return Placing(catalog, around.silences, around.now).place(alert, around)


def in_storm(placed: Placed, spec: IncidentsSpec) -> Placed:
    """The same alert, in the umbrella incident of its environment."""
    policy = spec.storm.policy or placed.policy
    return Placed(placed.alert, umbrella(placed.ref.environment), placed.severity, policy, umbrella=True)


def by_incident(
    placed: Iterable[Placed], spec: IncidentsSpec, request: str = "", front_door: str = ""
) -> Iterator[ToSend]:
    """What to send to each incident of a request, its parts one after the other, told apart as requests of their own.

    There are several parts of very many alerts, and where the same thing fires again after it cleared. `front_door` is
    whom an incident asks whether something still keeps what it holds.
    """
    groups: dict[IncidentRef, list[Placed]] = {}
    for each in placed:
        groups.setdefault(each.ref, []).append(each)
    for ref, group in groups.items():
        for first, part in _parts(group):
            yield _to_send(ref, part, spec, f"{request}#{first}" if request and first else request, front_door)


def _parts(group: Sequence[Placed]) -> Iterator[tuple[int, list[Placed]]]:
    """Each with the position of its first. In one that may be told as what fired and then what cleared, nothing fires
    after it has cleared. Every change of status would do as well, but of a thousand mixed ones make a thousand calls.
    """
    first, part, cleared, size = 0, list[Placed](), set[str](), 0
    for number, each in enumerate(group):
        fires = each.alert.status is AlertStatus.FIRED
        more = each.held.size if each.held else 0
        full = len(part) == MOST_IN_A_SIGNAL or size + more > LARGEST_HELD
        if part and (full or (fires and each.alert.dedupe_key in cleared)):
            yield first, part
            first, part, cleared, size = number, [], set(), 0
        part.append(each)
        size += more
        if not fires:
            cleared.add(each.alert.dedupe_key)
    if part:
        yield first, part


def rules_of(spec: IncidentsSpec, policy: str, open_after: OpenAfter | None = None) -> IncidentRules:
    """What an incident takes along of the catalog. Raises KeyError for a policy that is not there."""
    chosen = spec.policies[policy]
    levels = tuple(EscalationLevel(notify=_targets(level.notify, spec), wait=level.wait) for level in chosen.levels)
    return IncidentRules(
        levels=levels,
        repeat=chosen.repeat,
        response=spec.response,
        acknowledged_for=spec.acknowledged_for,
        reopen_within=spec.reopen_within,
        auto_resolve=spec.auto_resolve,
        flapping=spec.flapping,
        open_after=open_after,
        hold_for=spec.hold_for,
    )


def _slim(alert: Alert) -> Alert:
    """What an incident goes by; all that rules and people read of an alert may take 300 KB."""
    kept = {"source", "source_id", "dedupe_key", "status", "service", "environment", "title", "severity"}
    return Alert.model_validate(alert.model_dump(include=kept))


def hold_by(suppressed: Suppressed) -> Hold:
    return Hold(why=cut(suppressed.why, _LONGEST_WHY), until=suppressed.until)


def _targets(names: Sequence[str], spec: IncidentsSpec) -> tuple[NotifyTarget, ...]:
    return tuple(NotifyTarget(name=name, spec=spec.target(name)) for name in dict.fromkeys(names))


def _to_send(ref: IncidentRef, group: list[Placed], spec: IncidentsSpec, request: str, front_door: str) -> ToSend:
    firing = [each for each in group if each.alert.status is AlertStatus.FIRED]
    held = tuple(each.held for each in firing if each.held)
    opening = [each for each in firing if not each.suppressed]
    # What is right again has no say in how grave it is, nor in what it is called.
    gravest = min(opening or firing or group, key=lambda each: each.severity)
    fired = tuple(_slim(each.alert) for each in opening)
    cleared = tuple(_slim(each.alert) for each in group if each.alert.status is AlertStatus.CLEARED)
    over = {key_of(alert) for alert in cleared}
    clears = tuple(sorted(over.intersection(key_of(each.alert) for each in firing))) if over else ()
    title = "a storm of alerts" if gravest.umbrella else gravest.alert.title
    return ToSend(
        request=IncidentRequest(
            ref=ref,
            title=title,
            description="" if gravest.umbrella else cut(gravest.alert.description, _LONGEST_DESCRIPTION),
            links=() if gravest.umbrella else gravest.alert.links,
            severity=gravest.severity,
            rules=rules_of(spec, gravest.policy, gravest.open_after),
            held=bool(held and not opening),
        ),
        held=HeldSignal(alerts=held, front_door=front_door, request=request, clears=clears) if held else None,
        fired=AlertSignal(alerts=fired, request=request, severity=gravest.severity, clears=clears) if fired else None,
        cleared=AlertSignal(alerts=cleared, request=request) if cleared else None,
        alerts=tuple(each.alert for each in group),
    )
