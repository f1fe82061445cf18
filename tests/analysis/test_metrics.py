"""Arithmetic on counters."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.metrics import add, increase, quantile_ms
from models.judgement import Counters, LatencyHistogram

BOUNDS = (10.0, 100.0, 1000.0)


@st.composite
def counters(draw: st.DrawFn) -> Counters:
    requests = draw(st.integers(0, 10_000))
    counts = draw(st.tuples(*[st.integers(0, 1000)] * 4) | st.just(()))
    return Counters(
        requests=requests,
        errors=draw(st.integers(0, requests)),
        latency=LatencyHistogram(bounds_ms=BOUNDS if counts else (), counts=counts),
    )


@given(counters(), counters())
def test_an_increase_on_top_of_what_was_is_what_was_added(before: Counters, added: Counters) -> None:
    after = add(before, added)
    seen = increase(before, after)

    assert (seen.requests, seen.errors) == (added.requests, added.errors)
    if added.latency.counts:
        assert seen.latency == added.latency


@given(counters() | st.none(), counters() | st.none())
def test_an_increase_is_never_negative(before: Counters | None, after: Counters | None) -> None:
    seen = increase(before, after)

    assert seen.requests >= 0
    assert seen.errors >= 0
    assert all(count >= 0 for count in seen.latency.counts)


def test_counters_that_began_anew_count_whole() -> None:
    before = Counters(requests=100, errors=10)
    after = Counters(requests=7, errors=1)

    assert increase(before, after) == after


def test_a_quantile_is_interpolated_within_its_bucket() -> None:
    histogram = LatencyHistogram(bounds_ms=BOUNDS, counts=(0, 100, 0, 0))

    assert quantile_ms(histogram, 0.5) == 55.0
    assert quantile_ms(histogram, 1.0) == 100.0


def test_what_is_slower_than_every_bound_is_reported_as_the_last_bound() -> None:
    assert quantile_ms(LatencyHistogram(bounds_ms=BOUNDS, counts=(0, 0, 0, 5)), 0.5) == 1000.0


def test_no_observation_has_no_quantile() -> None:
    assert quantile_ms(LatencyHistogram(), 0.5) is None
    assert quantile_ms(LatencyHistogram(bounds_ms=BOUNDS, counts=(0, 0, 0, 0)), 0.5) is None


@given(st.tuples(*[st.integers(0, 1000)] * 4).filter(any), st.floats(0, 1))
def test_a_quantile_lies_within_the_bounds(counts: tuple[int, ...], q: float) -> None:
    value = quantile_ms(LatencyHistogram(bounds_ms=BOUNDS, counts=counts), q)

    assert value is not None
    assert 0 <= value <= BOUNDS[-1]
