"""What judges a version: metric snapshots, rules, evidence and verdicts."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from models.base import Payload, Written
from models.ids import Name, ServiceRef, Version
from models.keeper import LeaseKey
from models.metric_sources import HttpMetrics, PrometheusMetrics
from models.mistakes import MistakeError
from models.quantities import Duration, Percent
from models.templates import check_placeholders


class EnvoyMetrics(Written):
    """Requests, 5xx and latency per version as Envoy counts them."""

    provider: Literal["envoy"] = "envoy"


def _envoy_unless_said(value: object) -> object:
    return {"provider": "envoy"} if value == {} else value


MetricsSpec = Annotated[
    EnvoyMetrics | PrometheusMetrics | HttpMetrics,
    Field(discriminator="provider"),
    BeforeValidator(_envoy_unless_said),
]


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


class QueryRule(Written):
    """What one query of the metrics' source finds, as a number within limits.

    A measurement outside of them has failed; one that the source does not answer is an error, neither good nor bad.
    `failure_limit` and `consecutive_error_limit` mean what they mean to Argo Rollouts' analysis:
    https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
    """

    metric: Literal["query"]
    name: Name = Field(description="what people are told is out of its limits; each query rule has its own")
    query: Annotated[str, AfterValidator(check_placeholders)] = Field(
        description="PromQL or JMESPath, as the provider speaks it, that finds one number; "
        "{{service}}, {{version}} and {{env}} are filled in"
    )
    at_most: FiniteFloat | None = Field(default=None, description="the largest number that is good")
    at_least: FiniteFloat | None = Field(default=None, description="the smallest; one of the two is needed")
    failure_limit: int = Field(default=0, ge=0, description="how many failed measurements a watch bears")
    consecutive_error_limit: int = Field(
        default=4, ge=0, description="how many times in a row measuring may fail before nothing is known any more"
    )

    @model_validator(mode="after")
    def _limits_fit(self) -> "QueryRule":
        if self.at_most is None and self.at_least is None:
            raise MistakeError("a query needs at_most, at_least or both to be held against")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise MistakeError(f"no number is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


Rule = Annotated[ErrorRateRule | LatencyRule | QueryRule, Field(discriminator="metric")]


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

    @model_validator(mode="after")
    def _query_names_are_distinct(self) -> "JudgeSpec":
        seen: set[str] = set()
        for position, rule in enumerate(self.rules):
            if isinstance(rule, QueryRule):
                if rule.name in seen:
                    raise MistakeError(f"two queries are named {rule.name}", at=("rules", position, "name"))
                seen.add(rule.name)
        return self

    @property
    def queries(self) -> tuple[QueryRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, QueryRule))


class LatencyHistogram(Payload):
    """Counts of requests per bucket; bucket i holds those up to `bounds_ms[i]`, the last one everything above."""

    bounds_ms: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def total(cls, each: Iterable["LatencyHistogram"]) -> "LatencyHistogram":
        """The requests of several, by the bounds that all of them have; in whatever order they come."""
        counted = [one for one in each if one.counts and len(one.counts) == len(one.bounds_ms) + 1]
        if not counted:
            return cls()
        common = tuple(sorted(set.intersection(*(set(one.bounds_ms) for one in counted))))
        columns = zip(*(one.within(common) for one in counted), strict=True)
        return cls(bounds_ms=common, counts=tuple(sum(column) for column in columns))

    def within(self, bounds: Sequence[float]) -> tuple[int, ...]:
        """The same requests by fewer bounds."""
        up_to = list(accumulate(self.counts))
        kept = [up_to[self.bounds_ms.index(bound)] for bound in bounds]
        return tuple(later - earlier for earlier, later in pairwise([0, *kept, up_to[-1]]))


class Counters(Payload):
    """What one version has answered since its counters began."""

    requests: int = 0
    errors: int = 0
    latency: LatencyHistogram = LatencyHistogram()

    @classmethod
    def total(cls, parts: Iterable["Counters"]) -> "Counters":
        each = tuple(parts)
        return cls(
            requests=sum(one.requests for one in each),
            errors=sum(one.errors for one in each),
            latency=LatencyHistogram.total(one.latency for one in each),
        )


class MetricSnapshot(Payload):
    """Cumulative counters per version at one moment. A version that was never routed is absent."""

    taken_at: datetime
    versions: dict[Version, Counters] = Field(default_factory=dict)
    parts: dict[Version, dict[str, Counters]] = Field(
        default_factory=dict, description="the same by instance or series, where the source knows"
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="sentences about what the source gave that are no counters, and so not in here"
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


class QueryState(Payload):
    """What one query rule has seen in a watch: a worker that takes over goes on from here."""

    measured: int = Field(default=0, description="how often there was a number")
    failures: int = Field(default=0, description="how often that was outside of the limits")
    consecutive_errors: int = Field(default=0, description="how often in a row measuring failed")
    last: float | None = Field(default=None, description="the newest number; None: the query found none")
    last_failed: float | None = Field(default=None, description="the newest number outside of the limits")
    problem: str | None = Field(default=None, description="why the last measurement failed")


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
