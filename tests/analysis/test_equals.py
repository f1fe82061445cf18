"""What equals teach, and that the promise is measured by what the judge really does to them."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison import compared, judged
from analysis.dispersion import Pair
from analysis.equals import (
    SHORTEST_WATCH,
    WATCH_SECONDS,
    Minute,
    Period,
    Standing,
    crossed_trials,
    halves,
    is_rolled_back,
    learnt,
    rate_of,
    standing,
    total,
    trials,
    watches,
    watches_needed,
    wilson,
)
from benchmarks.judge_cells import Cell
from benchmarks.judge_world import past
from models.counters import Counters
from models.evidence import UNKNOWN, Comparison, Decision, EvidenceSpec
from models.judge_spec import CompareSpec

SPEC = EvidenceSpec()
COUNTS = st.floats(0, 1e4) | st.integers(0, 50).map(float)
PERIODS = st.lists(
    st.builds(
        lambda pairs, gaps: a_period(*pairs, gaps=gaps),
        st.lists(st.builds(Pair, COUNTS, COUNTS, COUNTS, COUNTS), max_size=90),
        st.lists(st.integers(1, 30), max_size=90),
    ),
    max_size=3,
)


def a_period(*pairs: Pair, name: str = "v1", begins: float = 0.0, gaps: list[int] | None = None) -> Period:
    """Minute after minute; `gaps` says after how many minutes each next one follows."""
    at, minutes = begins, []
    for index, pair in enumerate(pairs):
        minutes.append(Minute(at, pair))
        at += 60.0 * (gaps[index] if gaps and index < len(gaps) else 1)
    return Period(name, tuple(minutes))


def simulated(swing: float, rho: float = 0.9, hours: int = 320, seed: int = 5) -> tuple[Period, ...]:
    """Four groups of one version, each with a tenth of the traffic, that wander by themselves as AR(1) does."""
    cell = Cell("", traffic=2000, share=0.1, noise="own", rho=rho, swing=swing, history=hours / 4 * 60)
    return tuple(a_period(*past(cell, np.random.default_rng([seed, group])), name=str(group)) for group in range(4))


def test_what_wanders_breaks_the_promise_as_long_as_nothing_is_learnt_and_keeps_it_with_what_was() -> None:
    equals = simulated(swing=0.3)

    assumed = rate_of(trials(equals, SPEC, UNKNOWN))
    taught = rate_of(crossed_trials(equals, SPEC))

    assert assumed.watches == taught.watches == 320
    assert standing(assumed, SPEC.alpha) is Standing.BROKEN
    assert assumed.rolled_back > 10
    assert taught.rolled_back / taught.watches <= SPEC.alpha
    assert learnt(equals).own > 4 * UNKNOWN.own


def test_equals_that_do_not_wander_are_left_alone_either_way() -> None:
    equals = simulated(swing=0.0, rho=0.0, hours=80)

    assert rate_of(trials(equals, SPEC, UNKNOWN)).rolled_back <= 1
    assert rate_of(crossed_trials(equals, SPEC)).rolled_back <= 1
    assert learnt(equals).own < UNKNOWN.own


def test_a_group_that_is_worse_is_rolled_back() -> None:
    worse = a_period(*[Pair(1000, 50, 9000, 90)] * 60)

    assert is_rolled_back(worse.minutes, SPEC, UNKNOWN)
    assert not is_rolled_back(a_period(*[Pair(1000, 10, 9000, 90)] * 60).minutes, SPEC, UNKNOWN)


@pytest.mark.parametrize("bad", [10, 13, 14, 15, 30])
def test_equals_are_judged_as_rollouts_are(bad: int) -> None:
    spec, watch = CompareSpec(), a_period(*[Pair(1000, bad, 9000, 90)] * 60).minutes
    comparison, decisions = Comparison(), []
    for _, (n, x, m, y) in watch:
        one, rest = Counters(requests=int(n), errors=int(x)), Counters(requests=int(m), errors=int(y))
        comparison = compared(comparison, spec, seconds=60, candidate=one, stable=rest)
        decisions.append(judged(comparison, spec, candidate="v2", stable="v1").decision)

    assert is_rolled_back(watch, spec.evidence, UNKNOWN) == (Decision.ROLL_BACK in decisions)


def test_too_little_past_never_teaches_that_there_is_less_noise_than_assumed() -> None:
    few_errors = a_period(*[Pair(100, 0, 900, 1)] * 29)
    few_minutes = a_period(*[Pair(1000, 10, 9000, 90)] * 60)

    assert learnt([few_errors]) == UNKNOWN
    assert learnt([]) == UNKNOWN
    assert learnt([few_minutes]).own == UNKNOWN.own
    assert learnt([few_minutes]).rate == pytest.approx(0.01)
    assert learnt([a_period(*few_minutes.minutes[0][1:] * 600)]).own < UNKNOWN.own


def test_a_period_is_cut_into_hours_and_a_rest_of_minutes_is_left_out() -> None:
    pair = Pair(1, 0, 1, 0)

    assert [len(watch) for watch in watches(a_period(*[pair] * 150))] == [60, 60, 30]
    assert [len(watch) for watch in watches(a_period(*[pair] * (60 + SHORTEST_WATCH - 1)))] == [60]
    assert [len(watch) for watch in watches(a_period(*[pair] * 30, gaps=[5] * 30))] == [12, 12, 6]


def test_the_halves_of_groups_side_by_side_are_cut_at_the_same_moment() -> None:
    pair = Pair(1, 0, 1, 0)
    early, late = halves([a_period(*[pair] * 100), a_period(*[pair] * 50, begins=3000)])

    assert max(minute.at for each in early for minute in each.minutes) < min(each.minutes[0].at for each in late)
    assert [len(each.minutes) for each in early] == [62, 12]


def test_whether_a_promise_is_kept_is_said_only_where_there_is_enough_to_tell() -> None:
    enough = watches_needed(0.01)

    assert enough == 381
    assert standing(rate_of([False] * enough), 0.01) is Standing.KEPT
    assert standing(rate_of([False] * (enough - 1)), 0.01) is Standing.OPEN
    assert standing(rate_of([]), 0.01) is Standing.OPEN
    assert standing(rate_of([True] * 5 + [False] * 45), 0.01) is Standing.BROKEN
    assert standing(rate_of([True] + [False] * 11), 0.01) is Standing.OPEN


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_the_share_that_was_seen(hits: int, more: int) -> None:
    low, high = wilson(hits, hits + more)

    assert 0 <= low <= high <= 1
    if hits + more:
        assert low - 1e-12 <= hits / (hits + more) <= high + 1e-12


@given(st.integers(0, 3000), st.integers(0, 3000), st.floats(1e-6, 0.999))
def test_more_mistakes_never_speak_for_the_judge(hits: int, more: int, promised: float) -> None:
    order = [Standing.KEPT, Standing.OPEN, Standing.BROKEN]
    rates = [rate_of([True] * some + [False] * (hits + more - some)) for some in (hits // 2, hits)]
    better, worse = (order.index(standing(rate, promised)) for rate in rates)

    assert better <= worse


@given(PERIODS)
def test_whatever_was_counted_is_judged(periods: list[Period]) -> None:
    noise = learnt(periods)
    before, after = halves(periods)
    each = [watch for period in periods for watch in watches(period)]
    outcomes = list(trials(periods, SPEC, noise))

    assert all(math.isfinite(value) and value >= 0 for value in (noise.own, noise.burst, noise.rate))
    assert total(before).minutes + total(after).minutes == total(periods).minutes
    assert len(outcomes) == len(each)
    assert all(watch[-1].at - watch[0].at < WATCH_SECONDS for watch in each)
    assert all(one[-1].at < other[0].at for period in periods for one, other in pairwise(watches(period)))
    assert list(crossed_trials(periods, SPEC)) == list(crossed_trials(periods, SPEC))
