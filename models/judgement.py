"""What judges a version: metric snapshots, rules, evidence and verdicts."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.base import Payload, Written
from models.evidence import Change, ChangeSpec, Comparison, EvidenceSpec, Judgement, Noise
from models.ids import ServiceRef, Version
from models.keeper import LeaseKey
from models.mistakes import MistakeError
from models.quantities import Duration, Percent


class EnvoyMetrics(Written):
    """Requests, 5xx and latency per version as Envoy counts them."""

    provider: Literal["envoy"] = "envoy"


MetricsSpec = Annotated[EnvoyMetrics, Field()]


_CERTAIN = 100.0
_ALARM_EVERY_AT_LEAST = timedelta(hours=1)


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


class CompareSpec(Written):
    """How the candidate is held against the stable version beside it. docs/judgement.md helps to choose."""

    enabled: bool = Field(default=True, description="whether the two are compared at all, beside the rules")
    delta: Percent = Field(
        default=0.0, description="a version up to so much worse than the stable one is not called worse"
    )
    alpha: Percent = Field(
        default=1.0, description="of rollouts of versions that are not worse, at most so many are rolled back"
    )
    tolerance: Percent = Field(
        default=50.0, description="a version must be shown to be less than so much worse to be good enough"
    )
    beta: Percent = Field(default=5.0, description="of versions that are worse than that, at most so many get through")
    negligible: Percent = Field(
        default=0.5, description="a share of bad requests below which nobody cares how the stable version does"
    )
    latency: Literal["p90", "p95", "p99"] | None = Field(
        default=None, description="compare slow requests, too: those above what so many took before"
    )
    proof: bool = Field(
        default=True,
        description="before promotion the version must be shown to be good enough, while both have traffic; without "
        "proof the bake is extended by up to `patience`, then a person is asked",
    )

    @model_validator(mode="after")
    def _is_a_bet(self) -> "CompareSpec":
        for name in ("alpha", "tolerance", "beta", "negligible"):
            if getattr(self, name) <= 0:
                raise MistakeError(f"{name} must be above 0%", at=(name,), allowed="above 0%")
        for name in ("alpha", "beta", "negligible"):
            if getattr(self, name) >= _CERTAIN:
                raise MistakeError(f"{name} must be below 100%", at=(name,), allowed="below 100%")
        return self

    @property
    def evidence(self) -> EvidenceSpec:
        return EvidenceSpec(
            delta=self.delta / 100,
            alpha=self.alpha / 100,
            tolerance=self.tolerance / 100,
            beta=self.beta / 100,
            negligible=self.negligible / 100,
        )

    @property
    def quantile(self) -> float | None:
        return int(self.latency.removeprefix("p")) / 100 if self.latency else None


class AfterSpec(Written):
    """How a promoted version is watched for as long as the old one is kept, by the rules and by its own past."""

    enabled: bool = Field(default=True, description="whether it is watched; one that turns bad is rolled back")
    margin: Percent = Field(default=50.0, description="bad requests up to so much more often than usual are no change")
    alarm_every: Duration = Field(
        default=timedelta(days=30), description="how rarely it may be rolled back though nothing changed, on average"
    )

    @model_validator(mode="after")
    def _alarms_are_rare(self) -> "AfterSpec":
        if self.alarm_every < _ALARM_EVERY_AT_LEAST:
            raise MistakeError("alarm_every must be at least 1h", at=("alarm_every",), allowed="1h or more")
        return self

    @property
    def change(self) -> ChangeSpec:
        return ChangeSpec(margin=self.margin / 100, alarm_every=self.alarm_every)


class JudgeSpec(Written):
    """Plain thresholds over a sliding window of the candidate's own traffic, and the comparison with the stable one."""

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
        description="how long beyond a step's bake to wait for requests, or proof, before asking a person",
    )
    rules: tuple[Rule, ...] = Field(
        default=(ErrorRateRule(metric="error_rate", at_most=5.0),),
        min_length=1,
    )
    compare: CompareSpec = CompareSpec()
    after_promotion: AfterSpec = AfterSpec()

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
    comparison: Comparison | None = Field(default=None, description="what the next watch of the rollout goes on from")


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
    weight: Percent = Field(default=0.0, description="the candidate's share of the traffic meanwhile")
    comparison: Comparison = Field(default=Comparison(), description="what earlier watches of the rollout found")
    proof: bool = Field(default=False, description="healthy takes evidence that the candidate is good enough")
    usual: Noise | None = Field(default=None, description="what the candidate, promoted by now, is held against")


class WatchProgress(Payload):
    """Carried in heartbeats: a worker that takes over goes on from here."""

    watched: Duration = Field(default=timedelta(0), description="time seen with metrics")
    blind: Duration = Field(default=timedelta(0), description="time without")
    last: MetricSnapshot | None = None
    total: Counters = Counters()
    candidate: VersionHealth = VersionHealth()
    stable: VersionHealth = VersionHealth()
    findings: tuple[Finding, ...] = ()
    comparison: Comparison | None = None
    compared: MetricSnapshot | None = Field(
        default=None, description="where the next comparison begins, when that is not `last`"
    )
    uncompared: Duration = Field(default=timedelta(0), description="time since then")
    judgement: Judgement | None = None
    change: Change = Change()
    ticks: int = 0
    problem: str | None = Field(default=None, description="why the last tick saw nothing")
