"""The catalog: one file, `holdfast.yaml`, that describes what is operated."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator
from pydantic.json_schema import GenerateJsonSchema

from models.base import Written
from models.deployment import DeploySpec
from models.ids import Name
from models.judgement import EnvoyMetrics, JudgeSpec, MetricsSpec
from models.mistakes import MistakeError
from models.quantities import Duration, Percent, format_duration, format_percent
from models.traffic import TrafficSpec


class CanaryStep(Written):
    """Send `weight` of the traffic to the candidate, watch it for `bake`, then, if asked, wait for a person."""

    weight: Percent
    bake: Duration
    approval: bool = Field(default=False, description="wait for `holdfast approve` before going on")


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
    steps: tuple[CanaryStep, ...] = Field(min_length=1)
    judge: JudgeSpec = Field(default_factory=JudgeSpec)
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
    lease: LeaseDuration = timedelta(seconds=30)


def _canary_unless_said(value: object) -> object:
    return {"strategy": "canary", **value} if isinstance(value, dict) and "strategy" not in value else value


RolloutPlan = Annotated[
    CanaryPlan | BlueGreenPlan, Field(discriminator="strategy"), BeforeValidator(_canary_unless_said)
]


class Service(Written):
    """One service: where it runs, how traffic reaches it, what judges it and how it is rolled out."""

    description: str = ""
    deploy: DeploySpec
    traffic: TrafficSpec
    metrics: MetricsSpec = Field(default_factory=EnvoyMetrics)
    rollout: RolloutPlan


class Catalog(Written):
    """What is operated in one environment, and how."""

    version: Literal[1] = Field(description="the format of this file")
    environment: Name = Field(default="local", description="the environment that this file describes")
    services: dict[Name, Service] = Field(min_length=1)

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


class _AsWritten(GenerateJsonSchema):
    """Defaults stand in the schema as people write them; pydantic's own form of a duration is ISO 8601."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def catalog_schema() -> dict[str, JsonValue]:
    """The JSON Schema of the catalog (draft 2020-12), by which editors complete and check it."""
    schema = Catalog.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Holdfast catalog"}
