"""What people write of how a version is judged: where its metrics come from, rules, comparison."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from models.base import Written
from models.crashes import CrashLoopSpec
from models.evidence import UNKNOWN, ChangeSpec, EvidenceSpec, Noise
from models.ids import Name
from models.metric_sources import HttpMetrics, PrometheusMetrics
from models.mistakes import MistakeError
from models.quantities import Duration, Percent, format_duration
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


_CERTAIN = 100.0
_MOST_TICKS = 600  # each look adds them up
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


def _some(value: float) -> float:
    if value <= 0:
        raise MistakeError("is not above 0", allowed="a number above 0")
    return value


def _some_percent(value: float) -> float:
    if value <= 0:
        raise MistakeError("is not above 0%", allowed="above 0%")
    return value


class NoiseSpec(Written):
    """How much the errors of equals differ by themselves, as `holdfast judge noise` learns it and writes it down."""

    SHARES: ClassVar = ("bursts", "rate")

    own: FiniteFloat = Field(
        ge=0, description="long-run variance of the difference of two groups' relative error rates, per minute"
    )
    burst: FiniteFloat = Field(
        default=0.0,
        ge=0,
        description="the largest burst of one group that was no accident, in minutes' worth of errors",
    )
    spell: FiniteFloat = Field(
        default=0.0, ge=0, description="minutes for which two groups stay apart, where that comes and goes"
    )
    swing: FiniteFloat = Field(
        default=0.0,
        ge=0,
        description="how far they are apart then: the deviation of the logarithm of their rates' ratio",
    )
    bursts: Percent = Field(default=0.0, description="how many minutes of one group have a burst")
    rate: Annotated[Percent, AfterValidator(_some_percent)] = Field(description="the share of requests that failed")
    minutes: Annotated[FiniteFloat, AfterValidator(_some)] = Field(description="how much was looked at")

    @classmethod
    def of(cls, noise: Noise) -> "NoiseSpec":
        """As it is written down: nobody knows noise to more than three digits."""
        numbers = {**noise.model_dump(), **{name: 100 * getattr(noise, name) for name in cls.SHARES}}
        return cls.model_validate({name: _short(value) for name, value in numbers.items()})

    @property
    def noise(self) -> Noise:
        return Noise.model_validate({**self.model_dump(), **{name: getattr(self, name) / 100 for name in self.SHARES}})


def _short(value: float) -> float:
    return float(f"{value:.3g}")


class CompareSpec(Written):
    """How the candidate is held against the stable version beside it. docs/judgement.md helps to choose."""

    enabled: bool = Field(default=True, description="whether the two are compared at all, beside the rules")
    against: Literal["stable", "baseline"] = Field(
        default="stable",
        description="the stable version's own instances; or, in a canary, as many fresh ones of it as the candidate "
        "has, with as much traffic",
    )
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
    noise: NoiseSpec | None = Field(
        default=None, description="what equals do by themselves, as `holdfast judge noise` learnt it; else assumed"
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
    def error_noise(self) -> Noise:
        """Of errors alone: that of slow requests is assumed, as nothing learns it."""
        return self.noise.noise if self.noise else UNKNOWN

    @property
    def quantile(self) -> float | None:
        return int(self.latency.removeprefix("p")) / 100 if self.latency else None


class AfterSpec(Written):
    """How a promoted version is watched for as long as the old one is kept: by what was usual during its rollout."""

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
        description="how long beyond a step's bake to wait for requests, or proof, before asking a person; "
        "also, how long in a row metrics may be away",
    )
    rules: tuple[Rule, ...] = Field(
        default=(ErrorRateRule(metric="error_rate", at_most=5.0),),
        min_length=1,
    )
    crash_loop: CrashLoopSpec = CrashLoopSpec()
    compare: CompareSpec = CompareSpec()
    after_promotion: AfterSpec = AfterSpec()

    @model_validator(mode="after")
    def _durations_fit(self) -> "JudgeSpec":
        if not timedelta(milliseconds=100) <= self.tick <= timedelta(minutes=1):
            raise ValueError("tick must lie between 100ms and 1m")
        if self.window < self.tick:
            raise ValueError("window must be at least one tick long")
        longest = _MOST_TICKS * self.tick
        if self.window > longest:
            raise MistakeError(
                f"window must hold at most {_MOST_TICKS} ticks; with this tick, {format_duration(longest)}",
                at=("window",),
                allowed=f"at most {_MOST_TICKS} ticks",
            )
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
