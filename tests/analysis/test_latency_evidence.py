"""Slow requests as counts."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.latency_evidence import slow_bound, slow_counts
from models.counters import LatencyHistogram

PAST = LatencyHistogram(bounds_ms=(50.0, 100.0, 250.0, 1000.0), counts=(700, 200, 60, 30, 10))


def test_the_bound_is_the_one_nearest_to_the_quantile() -> None:
    assert slow_bound(PAST, 0.95) == 250.0
    assert slow_bound(PAST, 0.5) == 50.0
    assert slow_bound(PAST, 0.99) == 1000.0


def test_requests_above_the_bound_are_slow() -> None:
    assert slow_counts(PAST, 250.0) == (1000.0, 40.0)


def test_a_bound_that_nothing_was_above_tells_nothing() -> None:
    assert slow_bound(LatencyHistogram(bounds_ms=(50.0, 100.0), counts=(10, 0, 0)), 0.95) is None
    assert slow_bound(LatencyHistogram(), 0.95) is None


def test_a_histogram_of_another_shape_is_not_counted() -> None:
    assert slow_counts(LatencyHistogram(bounds_ms=(60.0,), counts=(1, 2)), 250.0) is None
    assert slow_counts(LatencyHistogram(bounds_ms=(250.0,), counts=(1,)), 250.0) is None
    assert slow_counts(PAST, None) is None


@given(
    st.lists(st.floats(), max_size=4).map(tuple),
    st.lists(st.integers(-2, 50), max_size=5).map(tuple),
    st.floats(),
)
def test_any_histogram_is_read_or_left(bounds: tuple[float, ...], counts: tuple[int, ...], quantile: float) -> None:
    histogram = LatencyHistogram(bounds_ms=bounds, counts=counts)
    bound = slow_bound(histogram, quantile)

    found = slow_counts(histogram, bound)

    assert (found is None) == (bound is None)
    assert found is None or 0 <= found[1] <= found[0]
