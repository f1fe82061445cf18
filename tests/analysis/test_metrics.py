"""Arithmetic on counters."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analysis.metrics import MOST_PARTS_KEPT, add, increase, increase_of, merged, quantile_ms
from models.counters import Counters, LatencyHistogram, MetricSnapshot
from tests.factories import WHEN

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


def snapshot(parts: dict[str, Counters]) -> MetricSnapshot:
    return MetricSnapshot(taken_at=WHEN, versions={"v1": Counters.total(parts.values())}, parts={"v1": parts})


def seen_over(snapshots: Sequence[MetricSnapshot]) -> list[Counters]:
    """The increase from each to the next, as a watch keeps the last."""
    seen, last = [], snapshots[0]
    for each in snapshots[1:]:
        seen.append(increase_of("v1", last, each))
        last = merged(last, each)
    return seen


part_readings = st.dictionaries(st.sampled_from("abcd"), counters(), max_size=4)


@given(st.lists(part_readings, min_size=1, max_size=6))
def test_whatever_parts_do_no_sum_is_negative(readings: list[dict[str, Counters]]) -> None:
    for seen in seen_over([snapshot(parts) for parts in readings]):
        assert seen.requests >= 0
        assert seen.errors >= 0
        assert all(count >= 0 for count in seen.latency.counts)


@given(st.lists(part_readings, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_parts_changes_nothing(readings: list[dict[str, Counters]], random: Random) -> None:
    def shuffled(parts: dict[str, Counters]) -> dict[str, Counters]:
        keys = list(parts)
        random.shuffle(keys)
        return {key: parts[key] for key in keys}

    in_order = seen_over([snapshot(parts) for parts in readings])

    assert seen_over([snapshot(shuffled(parts)) for parts in readings]) == in_order


@given(
    st.lists(st.fixed_dictionaries({name: counters() for name in "abc"}), min_size=2, max_size=8),
    st.data(),
)
def test_parts_that_vanish_and_come_back_count_what_they_counted(
    added: list[dict[str, Counters]], data: st.DataObject
) -> None:
    total: dict[str, Counters] = dict.fromkeys("abc", Counters())
    readings = []
    for number, step in enumerate(added):
        total = {name: add(total[name], step[name]) for name in total}
        always = number in {0, len(added) - 1}
        there = set("abc") if always else data.draw(st.sets(st.sampled_from("abc")))
        readings.append(snapshot({name: total[name] for name in total if name in there}))

    seen = Counters.total(seen_over(readings))

    expected = [Counters.total(step.values()) for step in added[1:]]
    assert seen.requests == sum(each.requests for each in expected)
    assert seen.errors == sum(each.errors for each in expected)
    assert sum(seen.latency.counts) == sum(sum(each.latency.counts) for each in expected)


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 999))
def test_a_part_that_begins_anew_is_told_from_the_others(others: int, more: int, since: int) -> None:
    before = snapshot({"a": Counters(requests=1000), "b": Counters(requests=others)})
    after = snapshot({"a": Counters(requests=since), "b": Counters(requests=others + more)})

    assert increase_of("v1", before, after).requests == since + more


def test_a_part_that_was_not_there_before_counts_whole() -> None:
    before = snapshot({"a": Counters(requests=10)})

    assert increase_of("v1", before, snapshot({"a": Counters(requests=12), "b": Counters(requests=5)})).requests == 7


def test_a_version_that_vanished_for_a_reading_is_not_counted_whole_when_it_is_back() -> None:
    nothing = MetricSnapshot(taken_at=WHEN)
    readings = [snapshot({"a": Counters(requests=10)}), nothing, snapshot({"a": Counters(requests=13)})]
    plain = [each.model_copy(update={"parts": {}}) for each in readings]

    assert [seen.requests for seen in seen_over(readings)] == [0, 3]
    assert [seen.requests for seen in seen_over(plain)] == [0, 3]


def test_a_source_without_parts_counts_by_version() -> None:
    before = MetricSnapshot(taken_at=WHEN, versions={"v1": Counters(requests=10)})
    after = MetricSnapshot(taken_at=WHEN, versions={"v1": Counters(requests=15), "v2": Counters(requests=4)})

    assert increase_of("v1", before, after).requests == 5
    assert increase_of("v2", before, after).requests == 4
    assert increase_of("v3", before, after).requests == 0
    assert merged(None, after) == after


def test_parts_that_have_gone_are_not_kept_without_end() -> None:
    last = snapshot({})
    for number in range(3):
        last = merged(last, snapshot({f"{number}-{each}": Counters(requests=number) for each in range(150)}))

    kept = last.parts["v1"]
    assert len(kept) == MOST_PARTS_KEPT
    assert Counter(key.partition("-")[0] for key in kept) == {"2": 150, "1": 150, "0": 100}


def test_histograms_are_added_up_by_the_bounds_that_all_have() -> None:
    fine = LatencyHistogram(bounds_ms=(10.0, 50.0, 100.0), counts=(1, 2, 3, 4))
    coarse = LatencyHistogram(bounds_ms=(10.0, 100.0), counts=(1, 1, 1))

    expected = LatencyHistogram(bounds_ms=(10.0, 100.0), counts=(2, 6, 5))
    assert LatencyHistogram.total([fine, LatencyHistogram(), coarse]) == expected
    assert LatencyHistogram.total([coarse, fine]) == expected
    assert LatencyHistogram.total([]) == LatencyHistogram()
