"""Evidence about a version: how it is weighed, what is known of its noise, and what has been seen so far."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from models.base import Payload, Written
from models.quantities import Duration


class EvidenceSpec(Written):
    """What counts as worse, what counts as good enough, and how often either may be said in error.

    Rates are shares of a version's requests, so that 0.01 is 1%.
    """

    delta: float = Field(
        default=0.0, ge=0, le=10, description="a version up to 1 + delta times as bad as the stable one is not worse"
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="how often a version that is not worse may be rolled back, at most"
    )
    tolerance: float = Field(
        default=0.5, gt=0, le=100, description="a version must be shown to be under 1 + tolerance times as bad"
    )
    beta: float = Field(default=0.05, gt=0, lt=1, description="how often a version over that may be promoted, at most")
    negligible: float = Field(
        default=0.005, gt=0, lt=1, description="a rate below which nobody cares how the stable version does"
    )


class Noise(Payload):
    """What a version's rate does by itself, without being better or worse; learnt from a version beside itself."""

    own: float = Field(
        default=0.0, description="long-run variance of the difference of two groups' relative rates, per minute"
    )
    burst: float = Field(
        default=0.0, description="the largest burst that is no accident of small numbers, in minutes' worth of errors"
    )
    spell: float = Field(
        default=0.0,
        ge=0,
        description="minutes for which two equal groups stay apart, where that comes and goes; 0: not known, evidence "
        "is lowered by `own` alone",
    )
    swing: float = Field(
        default=0.0,
        ge=0,
        description="how far they are apart at any moment: the deviation of the logarithm of their rates' ratio",
    )
    bursts: float = Field(
        default=0.0,
        ge=0,
        description="how many minutes of one have a burst, as a share; 0: not known, evidence is lowered by their size",
    )
    rate: float = Field(default=0.0, description="the share of requests that were bad")
    minutes: float = Field(default=0.0, description="how much was looked at; 0: nothing, all of this is assumed")


UNKNOWN = Noise(own=0.25, rate=0.001)
"""Assumed where there is no history: over an hour, two groups' rates differ with a deviation of 6%."""


class Pooled(Payload):
    """What was counted and is not weighed yet: a handful of requests tell little of how two versions share failures."""

    minutes: float = 0.0
    candidate_requests: float = 0.0
    candidate_bad: float = 0.0
    stable_requests: float = 0.0
    stable_bad: float = 0.0


class Departure(Payload):
    """How far two equal groups are expected to be apart by now, as the logarithm of their rates' ratio."""

    expected: float = 0.0
    unknown: float = Field(default=1.0, description="the share of a departure's variance that is still unknown")
    taken: float = Field(default=0.0, description="the share of a lasting difference that is taken for a departure")
    waited: float = Field(default=0.0, description="minutes since then of which one group is not known")


class Evidence(Payload):
    """Everything known of one count metric, such as errors of requests: a worker that takes over goes on from here.

    `worse`, `fine` and `low` hold logarithms, one for each alternative that is weighed: those of the candidate being
    worse than the stable version, of its not being too bad, and of its rate being negligible.
    """

    worse: tuple[float, ...] = ()
    fine: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    minutes: float = Field(default=0.0, description="time in which both versions were seen, as far as it is weighed")
    pooled: Pooled = Pooled()
    apart: Pooled = Field(default=Pooled(), description="the same of readings that had one of the two alone")
    departure: Departure = Departure()
    room: tuple[float, ...] = Field(
        default=(), description="how much each of `worse` may rise at once; empty where bursts do not limit it"
    )
    candidate_requests: float = 0.0
    candidate_bad: float = 0.0
    stable_requests: float = 0.0
    stable_bad: float = 0.0
    recent_minutes: float = Field(default=0.0, description="with the next four: what was counted of late, fading")
    recent_candidate: float = 0.0
    recent_candidate_bad: float = 0.0
    recent_stable: float = 0.0
    recent_stable_bad: float = 0.0
    unusable: int = Field(default=0, description="readings that made no sense or had nothing, and were left out")


class Comparison(Payload):
    """All evidence of one rollout; it travels from step to step, and from worker to worker."""

    errors: Evidence = Evidence()
    slow: Evidence = Evidence()
    slow_bound_ms: float | None = Field(
        default=None, description="what counts as slow; set before the first reading that is weighed"
    )


class ChangeSpec(Written):
    """When a version's rate counts as changed from its own past."""

    margin: float = Field(default=0.5, ge=0, le=100, description="up to 1 + margin times its usual rate is no change")
    alarm_every: Duration = Field(
        default=timedelta(days=30), description="how rarely an alarm may come while nothing changed, on average"
    )


class Change(Payload):
    """The watch of one version's rate against its own past. `sums` holds logarithms, one for each ratio weighed."""

    sums: tuple[float, ...] = ()
    starts: float = Field(default=0.0, description="how many moments of change are weighed already, one a minute")
    minutes: float = 0.0
    recent_requests: float = Field(default=0.0, description="fading, as is the next: what was counted of late")
    recent_bad: float = 0.0


class JudgedMetric(Payload):
    """One count metric of a judgement, and all that is known of it."""

    name: str
    verb: str = Field(default="fails", description="what a bad request of it does, as in 'v3 fails'")
    weight: float = Field(default=1.0, description="its share of the bet that the candidate is worse")
    spec: EvidenceSpec = EvidenceSpec()
    noise: Noise = UNKNOWN
    evidence: Evidence = Evidence()


class Decision(StrEnum):
    ROLL_BACK = "roll_back"
    PROMOTE = "promote"
    GO_ON = "go_on"


class MetricEvidence(Payload):
    """One metric's evidence. It is what a fair bet of 1 paid: 100 or more happens by chance once in 100 rollouts."""

    metric: str
    worse: float = Field(description="that the candidate is worse")
    worse_needed: float | None = Field(description="by this metric alone; None: it has no say against the candidate")
    fine: float = Field(description="that it is good enough")
    fine_needed: float


class MetricFinding(MetricEvidence):
    """The same in words, and what is still missing."""

    requests_needed: int | None = Field(
        default=None, description="how many more of the candidate show that it is good enough, if it is; None: unknown"
    )
    text: str


class Judgement(Payload):
    """What to do now, and why."""

    decision: Decision
    reason: str
    evidence: float = Field(default=0.0, description="that the candidate is worse, over all metrics")
    needed: float = 0.0
    findings: tuple[MetricFinding, ...] = ()
