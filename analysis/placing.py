"""From a catalog and an alert to the incident that it belongs to, or to the reason why it opens none.

Whoever takes alerts in calls `place` for each, puts those of one incident together with `by_incident`, and sends each
group as one signal, with a start for those that fired.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from analysis.alert_making import cut
from analysis.routing import incident_key, route_of, severity_for
from analysis.silencing import inhibited, silenced
from analysis.storm import storms, umbrella
from models.alert import Alert, AlertStatus, Suppressed
from models.ids import IncidentRef, Name
from models.incident import AlertSignal, EscalationLevel, IncidentRequest, IncidentRules
from models.incident_spec import DEFAULT_POLICY, IncidentsSpec, OpenAfter, Silence
from models.notification import NotifyTarget
from models.severity import Severity

_LONGEST_DESCRIPTION = 1_000
"""Of an alert's text, in the pages of its incident."""


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

    `open_incidents` are those that are triggered or acknowledged, a mapping or a set where they are many; `opened` is
    when the last new ones began; `silences` are those that are in force beside the catalog's.
    """

    now: datetime
    open_incidents: Collection[IncidentRef] = ()
    opened: Sequence[datetime] = ()
    silences: Sequence[Silence] = ()


@dataclass(frozen=True)
class Placed:
    """The incident that an alert belongs to. `policy` and `open_after` are for the case that it begins one."""

    alert: Alert
    ref: IncidentRef
    severity: Severity
    policy: str = DEFAULT_POLICY
    open_after: OpenAfter | None = None
    umbrella: bool = False


@dataclass(frozen=True)
class ToSend:
    """One signal for one incident, and what it begins with if there is none of its key.

    The signals hold what an incident goes by; `alerts` are the same with all that was said of them.
    """

    request: IncidentRequest
    fired: AlertSignal | None = None
    cleared: AlertSignal | None = None
    alerts: tuple[Alert, ...] = field(default=())


def place(alert: Alert, catalog: Routing, around: Surroundings) -> Placed | Suppressed:
    """What cleared is never suppressed: it goes where it would have gone when it fired."""
    spec = catalog.incidents
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
    silences = (*spec.silences, *around.silences)
    suppressed = silenced(alert, silences, around.now) or inhibited(alert, catalog.depends_on, around.open_incidents)
    if suppressed:
        return suppressed
    if storms(around.opened, spec.storm, around.now):
        return Placed(alert, umbrella(alert.environment), placed.severity, umbrella=True)
    return placed


def by_incident(placed: Iterable[Placed], spec: IncidentsSpec, request: str = "") -> tuple[ToSend, ...]:
    """What to send to each incident: all its alerts of a request, those that cleared apart from those that fired.

    Of very many for one incident there are several, which are told apart as requests of their own.
    """
    groups: dict[IncidentRef, list[Placed]] = {}
    for each in placed:
        groups.setdefault(each.ref, []).append(each)
    return tuple(
        _to_send(
            ref, group[first : first + MOST_IN_A_SIGNAL], spec, f"{request}#{first}" if request and first else request
        )
        for ref, group in groups.items()
        for first in range(0, len(group), MOST_IN_A_SIGNAL)
    )


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
    )


def _slim(alert: Alert) -> Alert:
    """What an incident goes by; all that rules and people read of an alert may take 300 KB."""
    kept = {"source", "source_id", "dedupe_key", "status", "service", "environment", "title", "severity"}
    return Alert.model_validate(alert.model_dump(include=kept))


def _targets(names: Sequence[str], spec: IncidentsSpec) -> tuple[NotifyTarget, ...]:
    return tuple(NotifyTarget(name=name, spec=spec.target(name)) for name in dict.fromkeys(names))


def _to_send(ref: IncidentRef, group: list[Placed], spec: IncidentsSpec, request: str) -> ToSend:
    gravest = min(group, key=lambda each: each.severity)
    fired = tuple(_slim(each.alert) for each in group if each.alert.status is AlertStatus.FIRED)
    cleared = tuple(_slim(each.alert) for each in group if each.alert.status is AlertStatus.CLEARED)
    title = "a storm of alerts" if gravest.umbrella else gravest.alert.title
    return ToSend(
        request=IncidentRequest(
            ref=ref,
            title=title,
            description="" if gravest.umbrella else cut(gravest.alert.description, _LONGEST_DESCRIPTION),
            links=() if gravest.umbrella else gravest.alert.links,
            severity=gravest.severity,
            rules=rules_of(spec, gravest.policy, gravest.open_after),
            pages_first=True,
        ),
        fired=AlertSignal(alerts=fired, request=request, severity=gravest.severity) if fired else None,
        cleared=AlertSignal(alerts=cleared, request=request) if cleared else None,
        alerts=tuple(each.alert for each in group),
    )
