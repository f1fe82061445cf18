"""The catalog: one file, `holdfast.yaml`, that describes what is operated."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.base import Written
from models.deployment import DeploySpec
from models.ids import Name
from models.judgement import EnvoyMetrics, JudgeSpec, MetricsSpec
from models.quantities import Duration, Percent
from models.traffic import TrafficSpec


class CanaryStep(Written):
    """Send `weight` of the traffic to the candidate, watch it for `bake`, then, if asked, wait for a person."""

    weight: Percent
    bake: Duration
    approval: bool = Field(default=False, description="wait for `holdfast approve` before going on")


class CanaryPlan(Written):
    strategy: Literal["canary"] = "canary"
    steps: tuple[CanaryStep, ...] = Field(min_length=1)
    judge: JudgeSpec = Field(default_factory=JudgeSpec)

    @model_validator(mode="after")
    def _weights_rise(self) -> "CanaryPlan":
        weights = [step.weight for step in self.steps]
        if any(weight <= 0 for weight in weights):
            raise ValueError("a step's weight must be above 0%: a candidate without traffic cannot be judged")
        if weights != sorted(weights):
            raise ValueError("weights must rise from step to step")
        return self


RolloutPlan = Annotated[CanaryPlan, Field()]


class Service(Written):
    description: str = ""
    deploy: DeploySpec
    traffic: TrafficSpec
    metrics: MetricsSpec = Field(default_factory=EnvoyMetrics)
    rollout: RolloutPlan


class Catalog(Written):
    version: Literal[1] = Field(description="the format of this file")
    environment: Name = Field(default="local", description="the environment that this file describes")
    services: dict[Name, Service] = Field(min_length=1)

    @model_validator(mode="after")
    def _listens_are_distinct(self) -> "Catalog":
        owners: dict[str, str] = {}
        for name, service in self.services.items():
            other = owners.setdefault(service.traffic.listen, name)
            if other != name:
                raise ValueError(f"services {other} and {name} both listen on {service.traffic.listen}")
        return self
