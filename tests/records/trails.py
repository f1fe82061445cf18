"""Samples with good defaults, for tests to vary."""

from datetime import datetime, timedelta

from models.evidence import MetricEvidence
from models.evidence_trail import RolloutKey, TrailSample, VersionSample
from tests.factories import WHEN

KEY = RolloutKey(workflow_id="rollout/local/shop", run_id="run-1")


def a_sample(second: float = 1, *, weight: float = 10.0, bad: int = 1, at: datetime = WHEN) -> TrailSample:
    return TrailSample(
        at=at + timedelta(seconds=second),
        seconds=1.0,
        weight=weight,
        candidate="v2",
        stable="v1",
        of_candidate=VersionSample(requests=40, bad=bad, p95_ms=31.5),
        of_stable=VersionSample(requests=360, bad=2),
        evidence=(MetricEvidence(metric="error_rate", worse=1.5, worse_needed=100.0, fine=0.25, fine_needed=20.0),),
    )


def samples(first: int, end: int) -> tuple[TrailSample, ...]:
    return tuple(a_sample(second) for second in range(first, end))
