"""The catalog: one file, `holdfast.yaml`, that describes what is operated."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import WithDefaultSchema

from models.alert_rules_spec import AlertFilesSpec, ServiceAlertsSpec
from models.base import Written
from models.deployment import DeploySpec
from models.freezes import FreezeSpec
from models.gateway_spec import GatewaySpec
from models.guard import GuardRules, GuardSpec
from models.ids import Name
from models.incident_spec import IncidentsSpec
from models.judge_spec import EnvoyMetrics, JudgeSpec, MetricsSpec, QueryRule
from models.metric_sources import HttpMetrics, PrometheusMetrics
from models.mistakes import MistakeError, Path
from models.quantities import PERCENT_RULE, Duration, Percent, format_duration, format_percent
from models.templates import check_jmespath, check_promql
from models.traffic import TrafficSpec


class CanaryStep(Written):
    """Send `weight` of the traffic to the candidate, watch it for `bake`, then, if asked, wait for a person."""

    weight: Percent
    bake: Duration
    approval: bool = Field(default=False, description="wait for `holdfast approve` before going on")


ScaleDownDelay = Annotated[
    Duration,
    Field(description="how long the old version's instances stay up after promotion, for a quick way back"),
]

LEASE_AT_LEAST, LEASE_AT_MOST = timedelta(seconds=5), timedelta(minutes=10)


def _a_lease(value: timedelta) -> timedelta:
    if not LEASE_AT_LEAST <= value <= LEASE_AT_MOST:
        allowed = f"{format_duration(LEASE_AT_LEAST)} to {format_duration(LEASE_AT_MOST)}"
        raise MistakeError(f"a lease of {format_duration(value)} is outside {allowed}", allowed=allowed)
    return value


LeaseDuration = Annotated[
    Duration,
    AfterValidator(_a_lease),
    Field(description="how long the new version keeps its traffic when nobody can take it back any more; 5s to 10m"),
]


class CanaryPlan(Written):
    """A new version takes over the traffic step by step, judged all the while."""

    strategy: Literal["canary"] = "canary"
    steps: tuple[CanaryStep, ...] = Field(min_length=1, max_length=50)
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
    scale_down_delay: ScaleDownDelay = timedelta(0)
    lease: LeaseDuration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _weights_rise(self) -> "CanaryPlan":
        reached = 0.0
        for position, step in enumerate(self.steps):
            at = ("steps", position, "weight")
            if step.weight <= 0:
                raise MistakeError(
                    "a step's weight must be above 0%: a candidate without traffic cannot be judged", at=at
                )
            if step.weight < reached:
                raise MistakeError(
                    f"weights must rise from step to step: {format_percent(step.weight)} "
                    f"comes after {format_percent(reached)}",
                    at=at,
                )
            reached = step.weight
        return self


class BlueGreenPlan(Written):
    """A new version takes over all traffic at once; the old one stays up for the way back until the bake is over."""

    strategy: Literal["blue-green"] = "blue-green"
    bake: Duration = Field(description="how long it is watched with all traffic before it is promoted")
    approval: bool = Field(default=False, description="wait for `holdfast approve` before traffic is switched")
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
    scale_down_delay: ScaleDownDelay = timedelta(0)
    lease: LeaseDuration = timedelta(seconds=30)


class RollingPlan(Written):
    """A new version's instances take the places of the old one's, some at a time; traffic follows their number."""

    strategy: Literal["rolling"] = "rolling"
    batch: int = Field(
        default=1, ge=1, description="how many instances are replaced at a time; started before as many end"
    )
    bake: Duration = Field(description="how long each batch is watched before instances of the old version end")
    approval: bool = Field(default=False, description="wait for `holdfast approve` after the first batch")
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
    scale_down_delay: ScaleDownDelay = timedelta(0)
    lease: LeaseDuration = timedelta(seconds=30)


def _canary_unless_said(value: object) -> object:
    return {"strategy": "canary", **value} if isinstance(value, dict) and "strategy" not in value else value


RolloutPlan = Annotated[
    CanaryPlan | BlueGreenPlan | RollingPlan, Field(discriminator="strategy"), BeforeValidator(_canary_unless_said)
]


_ALL_TRAFFIC = 100.0

MOST_BATCHES = 32
"""Of a rolling rollout: a batch takes about 50 events of a workflow's history, which is to stay under 2,000."""


class Service(Written):
    """One service: where it runs, how traffic reaches it, what judges it and how it is rolled out."""

    description: str = ""
    deploy: DeploySpec
    traffic: TrafficSpec
    metrics: MetricsSpec = Field(default_factory=EnvoyMetrics)
    rollout: RolloutPlan
    guard: GuardSpec = Field(default_factory=GuardSpec)
    depends_on: tuple[Name, ...] = Field(
        default=(), description="services that it cannot do without; while one is down, alerts of this one open nothing"
    )
    alerts: ServiceAlertsSpec = Field(
        default_factory=ServiceAlertsSpec, description="rules over its metrics that Holdfast evaluates"
    )

    @model_validator(mode="after")
    def _batches_are_not_too_many(self) -> "Service":
        plan = self.rollout
        if isinstance(plan, RollingPlan) and -(-self.deploy.instances // plan.batch) > MOST_BATCHES:
            allowed = f"{-(-self.deploy.instances // MOST_BATCHES)} or more"
            raise MistakeError(
                f"{self.deploy.instances} instances in batches of {plan.batch} are more than {MOST_BATCHES} batches; "
                f"allowed is {allowed}",
                at=("rollout", "batch"),
                allowed=allowed,
            )
        return self

    @model_validator(mode="after")
    def _a_baseline_can_be_had(self) -> "Service":
        plan = self.rollout
        if plan.judge.compare.against == "stable":
            return self
        at: Path = ("rollout", "judge", "compare", "against")
        if not isinstance(plan, CanaryPlan):
            raise MistakeError(
                f"only a canary can be compared with a baseline; a {plan.strategy} rollout is compared with the stable "
                "version itself",
                at=at,
                allowed="stable",
            )
        if not plan.judge.compare.enabled:
            raise MistakeError("there is a baseline to compare with, and nothing is compared: enabled is false", at=at)
        if all(step.weight >= _ALL_TRAFFIC for step in plan.steps):
            raise MistakeError(
                "with 100% at the new version there is nothing left for a baseline, which is to have as much; "
                "give a step less, best 50% at most",
                at=at,
            )
        if not isinstance(self.metrics, EnvoyMetrics):
            raise MistakeError(
                "a baseline runs the stable version, and only Envoy's own counters tell the two apart; "
                f"use metrics of the provider envoy instead of {self.metrics.provider}",
                at=at,
                allowed="stable",
            )
        return self

    @model_validator(mode="after")
    def _queries_are_in_the_providers_language(self) -> "Service":
        for position, rule in enumerate(self.rollout.judge.rules):
            if not isinstance(rule, QueryRule):
                continue
            at = ("rollout", "judge", "rules", position)
            match self.metrics:
                case EnvoyMetrics():
                    raise MistakeError(
                        "Envoy has no query language; use metrics of the provider prometheus or http",
                        at=(*at, "metric"),
                    )
                case PrometheusMetrics():
                    _checked(check_promql, rule.query, (*at, "query"))
                case HttpMetrics():
                    _checked(check_jmespath, rule.query, (*at, "query"))
        return self

    @model_validator(mode="after")
    def _alert_queries_are_in_the_providers_language(self) -> "Service":
        for position, rule in enumerate(self.alerts.rules):
            if rule.query is None:
                continue
            at = ("alerts", "rules", position, "query")
            match self.metrics:
                case EnvoyMetrics():
                    raise MistakeError(
                        "Envoy has no query language; use metrics of the provider prometheus or http", at=at
                    )
                case PrometheusMetrics():
                    _checked(check_promql, rule.query, at)
                case HttpMetrics():
                    _checked(check_jmespath, rule.query, at)
        return self


def _checked(check: Callable[[str], str], query: str, at: Path) -> None:
    try:
        check(query)
    except MistakeError as mistake:
        raise MistakeError(str(mistake), found=mistake.found, allowed=mistake.allowed, at=at) from mistake


class Catalog(Written):
    """What is operated in one environment, and how."""

    version: Literal[1] = Field(description="the format of this file")
    environment: Name = Field(default="local", description="the environment that this file describes")
    services: dict[Name, Service] = Field(min_length=1)
    freezes: tuple[FreezeSpec, ...] = Field(default=(), description="times at which nothing new is rolled out")
    incidents: IncidentsSpec = Field(default_factory=IncidentsSpec, description="how alerts become incidents")
    gateway: GatewaySpec = Field(default_factory=GatewaySpec, description="who may send alerts over HTTP")
    alerts: dict[Name, AlertFilesSpec] = Field(
        default_factory=dict, description="Prometheus' rule files that Holdfast evaluates, each set under its name"
    )

    @model_validator(mode="after")
    def _listens_are_distinct(self) -> "Catalog":
        owners: dict[str, str] = {}
        for name, service in self.services.items():
            other = owners.setdefault(service.traffic.listen, name)
            if other != name:
                raise MistakeError(
                    f"services {other} and {name} both listen on {service.traffic.listen}; "
                    "give each an address of its own",
                    at=("services", name, "traffic", "listen"),
                )
        return self

    @model_validator(mode="after")
    def _freezes_concern_what_there_is(self) -> "Catalog":
        known: dict[str, int] = {}
        for position, freeze in enumerate(self.freezes):
            if known.setdefault(freeze.name, position) != position:
                raise MistakeError(f"two freezes are named {freeze.name}", at=("freezes", position, "name"))
            for index, service in enumerate(freeze.services):
                if service not in self.services:
                    raise MistakeError(
                        f"there is no service {service}; the catalog has {', '.join(sorted(self.services))}",
                        at=("freezes", position, "services", index),
                    )
        return self

    @model_validator(mode="after")
    def _signed_sources_are_known(self) -> "Catalog":
        for name in self.gateway.signatures.generic:
            if name not in self.incidents.sources:
                there = ", ".join(sorted(self.incidents.sources)) or "none"
                raise MistakeError(
                    f"there is no source {name} in incidents.sources; there is {there}",
                    at=("gateway", "signatures", "generic", name),
                )
        return self

    @model_validator(mode="after")
    def _sets_of_rules_have_names_of_their_own(self) -> "Catalog":
        for name in self.alerts:
            if name in self.services:
                raise MistakeError(
                    f"a service is named {name}, too, and its rules go by that name; give this set another",
                    at=("alerts", name),
                )
        return self

    @property
    def depends_on(self) -> dict[Name, tuple[Name, ...]]:
        return {name: service.depends_on for name, service in self.services.items()}

    def guard_rules(self, service: str) -> GuardRules:
        """What the guard of a service goes by. Raises KeyError for a service that is not here."""
        freezes = tuple(freeze for freeze in self.freezes if not freeze.services or service in freeze.services)
        return GuardRules(spec=self.services[service].guard, freezes=freezes)


class _AsWritten(GenerateJsonSchema):
    """Defaults stand in the schema as people write them; pydantic's own form of a duration is ISO 8601."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("pattern") == PERCENT_RULE and isinstance(made.get("default"), float):
            made["default"] = format_percent(made["default"])
        return made

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def catalog_schema() -> dict[str, JsonValue]:
    """The JSON Schema of the catalog (draft 2020-12), by which editors complete and check it."""
    schema = Catalog.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Holdfast catalog"}
