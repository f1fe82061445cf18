"""What judges a version: metric snapshots, rules, evidence and verdicts."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.base import Payload, Written
from models.ids import ServiceRef, Version
from models.keeper import LeaseKey
from models.quantities import Duration, Percent


class EnvoyMetrics(Written):
    """Requests, 5xx and latency per version as Envoy counts them."""

    provider: Literal["envoy"] = "envoy"


MetricsSpec = Annotated[EnvoyMetrics, Field()]


class ErrorRateRule(Written):
    """The share of requests answered 5xx."""

    metric: Literal["error_rate"]
    at_most: Percent


class LatencyRule(Written):
    """A quantile of the response time."""

    metric: Literal["latency_p50", "latency_p90", "latency_p95", "latency_p99"]
    at_most: Duration

    @property
    def quantile(self) -> float:
        return int(self.metric.removeprefix("latency_p")) / 100


Rule = Annotated[ErrorRateRule | LatencyRule, Field(discriminator="metric")]


class JudgeSpec(Written):
    """Plain thresholds over a sliding window of the candidate's own traffic."""

    tick: Duration = Field(default=timedelta(seconds=1), description="how often the metrics are read")
    window: Duration = Field(default=timedelta(seconds=10), description="how far back a rule looks")
    min_requests: int = Field(
        default=20,
        ge=1,
        description="requests the candidate must have answered in the window to be called unhealthy, "
        "and in the whole step to be called healthy",
    )
    patience: Duration = Field(
        default=timedelta(minutes=5),
        description="how long beyond a step's bake to wait for min_requests before asking a person",
    )
    rules: tuple[Rule, ...] = Field(
        default=(ErrorRateRule(metric="error_rate", at_most=5.0),),
        min_length=1,
    )

    @model_validator(mode="after")
    def _durations_fit(self) -> "JudgeSpec":
        if not timedelta(milliseconds=100) <= self.tick <= timedelta(minutes=1):
            raise ValueError("tick must lie between 100ms and 1m")
        if self.window < self.tick:
            raise ValueError("window must be at least one tick long")
        return self


class LatencyHistogram(Payload):
    """Counts of requests per bucket; bucket i holds those up to `bounds_ms[i]`, the last one everything above."""

    bounds_ms: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class Counters(Payload):
    """What one version has answered since its counters began."""

    requests: int = 0
    errors: int = 0
    latency: LatencyHistogram = LatencyHistogram()


class MetricSnapshot(Payload):
    """Cumulative counters per version at one moment. A version that was never routed is absent."""

    taken_at: datetime
    versions: dict[Version, Counters] = Field(default_factory=dict)
    parts: dict[Version, dict[str, Counters]] = Field(
        default_factory=dict, description="the same by instance or series, where the source knows"
    )


class Outcome(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INCONCLUSIVE = "inconclusive"


class Finding(Payload):
    """One rule held against what was observed. `observed` is None when there is nothing to observe."""

    metric: str
    observed: str | None
    limit: str
    breached: bool


class Verdict(Payload):
    outcome: Outcome
    reason: str
    requests: int = Field(default=0, description="the candidate's requests in the window judged")
    errors: int = 0
    findings: tuple[Finding, ...] = ()


class VersionHealth(Payload):
    """One version's figures over the window, for people to read."""

    requests: int = 0
    errors: int = 0
    requests_per_second: float = 0.0
    p95_ms: float | None = None


class Watch(Payload):
    """Watch a candidate. With `bake`, until it has been watched that long and judged; without, until cancelled.

    With `lease` that lease is renewed meanwhile, for as long as Temporal answers; the watch ends when it is lost.
    """

    ref: ServiceRef
    metrics: MetricsSpec
    judge: JudgeSpec
    stable: Version | None
    candidate: Version
    bake: Duration | None
    lease: LeaseKey | None = None


class WatchProgress(Payload):
    """Carried in heartbeats: a worker that takes over goes on from here."""

    watched: Duration = Field(default=timedelta(0), description="time seen with metrics")
    blind: Duration = Field(default=timedelta(0), description="time without")
    last: MetricSnapshot | None = None
    total: Counters = Counters()
    candidate: VersionHealth = VersionHealth()
    stable: VersionHealth = VersionHealth()
    findings: tuple[Finding, ...] = ()
    ticks: int = 0
    problem: str | None = Field(default=None, description="why the last tick saw nothing")
