"""The catalog's words on incidents: what becomes one, how grave it is, who is told and when."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from models.alert_sources import GenericSource
from models.base import Written
from models.calendar_windows import CalendarSpec
from models.ids import Name
from models.matching import Condition, Matcher
from models.mistakes import MistakeError, Path
from models.notification import ConsoleTarget, TargetSpec
from models.quantities import Duration
from models.severity import ResponseTargets, Severity, SeverityWord

INBOX = "console"
DEFAULT_POLICY = "default"
"""What there is without a word in the catalog: the inbox, and a policy that pages it."""


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Matchers = Annotated[tuple[Matcher, ...], BeforeValidator(_one_or_several)]


class SeverityRule(Written):
    """The first rule all of whose conditions hold says how grave an alert is."""

    when: Annotated[tuple[Condition, ...], BeforeValidator(_one_or_several)] = Field(
        min_length=1, description="conditions on what was measured or on labels, all of which must hold"
    )
    severity: SeverityWord


class OpenAfter(Written):
    """An incident that pages nobody before so many alerts came within a time."""

    alerts: int = Field(ge=1, le=10_000, description="how many, the first included")
    within: Duration = Field(description="how long the first is remembered")

    @property
    def several(self) -> bool:
        """Whether the first alone does not open it."""
        return self.alerts > 1


class FlapSpec(Written):
    """What fires and clears again and again stays one incident, and resolves only once it has been quiet."""

    changes: int = Field(default=6, ge=2, le=100, description="so many changes between fired and cleared are flapping")
    within: Duration = Field(default=timedelta(minutes=30), description="the time in which they are counted")


class StormSpec(Written):
    """So many new incidents at once become one umbrella incident, with the list of what fired."""

    incidents: int = Field(default=50, ge=2, le=100_000, description="so many new ones are a storm")
    within: Duration = Field(default=timedelta(minutes=1), description="the time in which they are counted")
    policy: Name | None = Field(
        default=None, description="the escalation policy; that of the gravest alert that it begins with without"
    )


class Route(Written):
    """Where alerts go that match. What is left out here is taken from the route around it."""

    match: Matchers = Field(default=(), description="matchers of labels, all of which must hold; all alerts without")
    policy: Name | None = Field(default=None, description="the escalation policy")
    severity: SeverityWord | None = Field(default=None, description="how grave they are, whatever the rules say")
    group_by: tuple[str, ...] | None = Field(
        default=None, description="labels; alerts with the same values are one incident. Empty: each is its own"
    )
    open_after: OpenAfter | None = Field(default=None, description="page only after several alerts")
    routes: tuple["Route", ...] = Field(default=(), description="the first of them that matches is gone into")


class Level(Written):
    """One step of an escalation policy."""

    notify: tuple[Name, ...] = Field(min_length=1, max_length=10, description="names of targets")
    wait: Duration | None = Field(
        default=None, description="how long until the next level is due; the severity's response target without"
    )


class Policy(Written):
    """Who is paged, level by level, until somebody acknowledges."""

    levels: tuple[Level, ...] = Field(min_length=1, max_length=20)
    repeat: int = Field(default=2, ge=0, le=9, description="how often it begins again after the last level")


class Silence(CalendarSpec):
    """A time in which alerts that match open nothing: a silence, or with `every` a maintenance window."""

    kind: ClassVar[str] = "silence"

    match: Matchers = Field(min_length=1, description="matchers of labels, all of which must hold")
    comment: str = Field(default="", description="why")


class IncidentsSpec(Written):
    """How alerts become incidents."""

    service_labels: tuple[str, ...] = Field(
        default=("service", "app", "job"), description="the first of these labels that an alert has names its service"
    )
    environment_labels: tuple[str, ...] = Field(
        default=("environment", "env"), description="the same for its environment; the catalog's without"
    )
    unrouted: Name = Field(default="unrouted", description="the service of an alert that names none")
    severity: tuple[SeverityRule, ...] = Field(default=(), description="rules, the first that holds counts")
    default_severity: SeverityWord = Field(default=Severity.SEV3, description="where neither rule nor sender says")
    response: ResponseTargets = Field(
        default_factory=ResponseTargets, description="how soon an incident is to be acknowledged"
    )
    acknowledged_for: Duration | None = Field(
        default=timedelta(hours=1), description="acknowledged longer without a resolve, it escalates again; null: never"
    )
    reopen_within: Duration = Field(
        default=timedelta(minutes=30), description="resolved, it is kept open so long, and reopened if it fires again"
    )
    hold_for: Duration = Field(
        default=timedelta(days=7),
        description="an alert that is silenced or inhibited opens its incident once it is not any more, unless it has "
        "cleared, or was not sent again for so long",
    )
    auto_resolve: bool = Field(default=True, description="resolve it once everything that fired has cleared")
    routes: tuple[Route, ...] = Field(default=(), description="the routing tree")
    group_by: tuple[str, ...] = Field(default=(), description="as in a route, where none says otherwise")
    flapping: FlapSpec = Field(default_factory=FlapSpec)
    storm: StormSpec = Field(default_factory=StormSpec)
    silences: tuple[Silence, ...] = Field(default=(), description="silences and maintenance windows")
    policies: dict[Name, Policy] = Field(
        default_factory=lambda: {DEFAULT_POLICY: Policy(levels=(Level(notify=(INBOX,)),))},
        description="escalation policies; the one named default is for what no route sends elsewhere",
    )
    targets: dict[Name, TargetSpec] = Field(
        default_factory=dict, description="where to notify; the inbox console is always there"
    )
    sources: dict[Name, GenericSource] = Field(
        default_factory=dict, description="senders of JSON of their own, each under its name"
    )

    def target(self, name: str) -> TargetSpec:
        """Raises KeyError for a name that is not there."""
        return self.targets.get(name) or {INBOX: ConsoleTarget()}[name]

    @model_validator(mode="after")
    def _names_are_known(self) -> "IncidentsSpec":
        if DEFAULT_POLICY not in self.policies:
            raise MistakeError(
                f"there is no policy named {DEFAULT_POLICY}, for what no route sends elsewhere", at=("policies",)
            )
        targets = sorted({*self.targets, INBOX})
        for name, policy in self.policies.items():
            for index, level in enumerate(policy.levels):
                for position, target in enumerate(level.notify):
                    _known("target", target, targets, ("policies", name, "levels", index, "notify", position))
        for path, route in _routes(self.routes, ("routes",)):
            if route.policy is not None:
                _known("policy", route.policy, sorted(self.policies), (*path, "policy"))
        if self.storm.policy is not None:
            _known("policy", self.storm.policy, sorted(self.policies), ("storm", "policy"))
        return self

    @model_validator(mode="after")
    def _silences_have_names_of_their_own(self) -> "IncidentsSpec":
        seen: set[str] = set()
        for position, silence in enumerate(self.silences):
            if silence.name in seen:
                raise MistakeError(f"two silences are named {silence.name}", at=("silences", position, "name"))
            seen.add(silence.name)
        return self


def _known(what: str, name: str, allowed: list[str], at: Path) -> None:
    if name not in allowed:
        raise MistakeError(
            f"there is no {what} {name}; there is {', '.join(allowed)}", allowed=", ".join(allowed), at=at
        )


def _routes(routes: tuple[Route, ...], path: Path) -> Iterator[tuple[Path, Route]]:
    for index, route in enumerate(routes):
        yield (*path, index), route
        yield from _routes(route.routes, (*path, index, "routes"))
