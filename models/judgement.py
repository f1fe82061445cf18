"""A watch over a candidate: what is asked of it, what it has seen so far, and its verdict."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from models.base import Payload
from models.counters import Counters, MetricSnapshot
from models.crashes import Crashes
from models.deployment import DeploySpec
from models.evidence import Change, Comparison, Judgement, Noise
from models.ids import Group, ServiceRef, Version, version_of
from models.judge_spec import JudgeSpec, MetricsSpec
from models.keeper import LeaseKey
from models.quantities import Duration, Percent


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
    deploy: DeploySpec | None = Field(default=None, description="where its instances are looked at; None: not at all")
    stable: Group | None = Field(description="what it is compared with: the stable version, or its baseline")
    candidate: Version
    bake: Duration | None
    lease: LeaseKey | None = None
    weight: Percent = Field(default=0.0, description="the candidate's share of the traffic meanwhile")
    comparison: Comparison = Field(default=Comparison(), description="what earlier watches of the rollout found")
    proof: bool = Field(default=False, description="healthy takes evidence that the candidate is good enough")
    usual: Noise | None = Field(default=None, description="what the candidate, promoted by now, is held against")

    @property
    def groups(self) -> tuple[Group, ...]:
        """Whose counters are read. Beside a baseline its version's, as only those have a past."""
        beside = (self.stable, version_of(self.stable)) if self.stable else ()
        return tuple(dict.fromkeys((*beside, self.candidate)))


class WatchProgress(Payload):
    """Carried in heartbeats: a worker that takes over goes on from here."""

    watched: Duration = Field(default=timedelta(0), description="time seen with metrics")
    blind: Duration = Field(default=timedelta(0), description="time without")
    gap: Duration = Field(default=timedelta(0), description="time without since the last reading")
    last: MetricSnapshot | None = None
    total: Counters = Counters()
    candidate: VersionHealth = VersionHealth()
    stable: VersionHealth = VersionHealth()
    findings: tuple[Finding, ...] = ()
    queries: dict[str, QueryState] = Field(default_factory=dict, description="by the query rule's name")
    comparison: Comparison | None = None
    compared: MetricSnapshot | None = Field(
        default=None, description="where the next comparison begins, when that is not `last`"
    )
    uncompared: Duration = Field(default=timedelta(0), description="time since then")
    judgement: Judgement | None = None
    change: Change = Change()
    crashes: Crashes = Crashes()
    ticks: int = 0
    problem: str | None = Field(default=None, description="why the last tick saw nothing")
