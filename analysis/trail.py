"""Thinning what a watch sees to the samples that a picture needs."""

from datetime import datetime, timedelta

from analysis.metrics import add, quantile_ms
from models.counters import Counters
from models.evidence import Judgement, MetricEvidence
from models.evidence_trail import TrailSample, VersionSample
from models.judgement import Watch

SAMPLES = 200
"""A sample covers at least one part in so many of the time watched, so that a long watch has a few times as many."""


class Trail:
    """Gathers readings until the next sample is due: each tick at first, then ever less often."""

    def __init__(self, watch: Watch, watched: timedelta) -> None:
        self._watch = watch
        self._watched = watched
        self._since = timedelta()
        self._candidate: Counters | None = None
        self._stable: Counters | None = None

    def saw(
        self,
        at: datetime,
        elapsed: timedelta,
        candidate: Counters | None,
        stable: Counters | None,
        judgement: Judgement | None,
        problem: str | None = None,
    ) -> TrailSample | None:
        """Account for one reading; None in place of what was not read. A sample when one is due."""
        self._since += elapsed
        self._watched += elapsed
        self._candidate = _both(self._candidate, candidate)
        self._stable = _both(self._stable, stable)
        if self._since < self._watched / SAMPLES:
            return None
        sample = TrailSample(
            at=at,
            seconds=self._since.total_seconds(),
            weight=self._watch.weight,
            candidate=self._watch.candidate,
            stable=self._watch.stable,
            of_candidate=_side(self._candidate),
            of_stable=_side(self._stable),
            evidence=_evidence(judgement),
            problem=problem,
        )
        self._since, self._candidate, self._stable = timedelta(), None, None
        return sample


def _both(one: Counters | None, other: Counters | None) -> Counters | None:
    if one is None or other is None:
        return one or other
    return add(one, other)


def _side(counts: Counters | None) -> VersionSample:
    if counts is None:
        return VersionSample()
    return VersionSample(requests=counts.requests, bad=counts.errors, p95_ms=quantile_ms(counts.latency, 0.95))


def _evidence(judgement: Judgement | None) -> tuple[MetricEvidence, ...]:
    if judgement is None:
        return ()
    return tuple(
        MetricEvidence.model_validate(finding.model_dump(include=set(MetricEvidence.model_fields)))
        for finding in judgement.findings
    )
