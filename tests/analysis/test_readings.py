"""From counters to readings."""

from datetime import UTC, datetime

from analysis.evidence import Reading
from analysis.readings import both_since, error_reading, slow_reading
from models.counters import Counters, LatencyHistogram, MetricSnapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def counted(requests: int, errors: int = 0, slow: int = 0) -> Counters:
    latency = LatencyHistogram(bounds_ms=(100.0,), counts=(requests - slow, slow))
    return Counters(requests=requests, errors=errors, latency=latency)


def snapshot(**versions: Counters) -> MetricSnapshot:
    return MetricSnapshot(taken_at=NOW, versions=versions)


def test_both_versions_are_read_over_the_same_time() -> None:
    before = snapshot(v1=counted(100, 1), v2=counted(10))
    found = both_since(before, snapshot(v1=counted(190, 3), v2=counted(20, 2)), "v2", "v1")

    assert found is not None
    assert error_reading(1.0, *found) == Reading(1.0, 10, 2, 90, 2)


def test_a_snapshot_that_lacks_a_version_is_no_reading() -> None:
    before = snapshot(v1=counted(100), v2=counted(10))

    assert both_since(before, snapshot(v1=counted(190)), "v2", "v1") is None
    assert both_since(before, snapshot(v2=counted(20)), "v2", "v1") is None
    assert both_since(before, before, "v2", None) is None
    assert both_since(None, before, "v2", "v1") is None


def test_slow_requests_are_the_bad_ones_of_a_latency_metric() -> None:
    assert slow_reading(1.0, counted(10, slow=4), counted(90, slow=5), 100.0) == Reading(1.0, 10, 4, 90, 5)


def test_nothing_is_known_of_a_histogram_without_the_bound() -> None:
    assert slow_reading(1.0, counted(10), Counters(requests=5), 100.0) == Reading(1.0, 10, 0, None, None)
