"""Watching one version against its own past."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.change_watch import is_changed, learn_alone, observe, usual_after
from models.evidence import UNKNOWN, Change, ChangeSpec, Comparison, Evidence, Noise

USUAL = Noise(rate=0.01, minutes=1440)
SPEC = ChangeSpec()


def minutes_until_alarm(rate: float, spec: ChangeSpec, seed: int, usual: Noise = USUAL, most: int = 5000) -> int:
    chance = np.random.default_rng(seed)
    change = Change()
    for minute, bad in enumerate(chance.binomial(200, rate, most), 1):
        change = observe(change, 60, 200, float(bad), spec, usual)
        if is_changed(change, spec):
            return minute
    return most


def test_false_alarms_come_no_more_often_than_asked_for() -> None:
    often = ChangeSpec(margin=0.0, alarm_every=timedelta(minutes=60))

    assert np.mean([minutes_until_alarm(0.01, often, seed, most=600) for seed in range(60)]) >= 60


@pytest.mark.parametrize(("ratio", "most"), [(3, 20), (10, 4)])
def test_a_rate_that_rose_is_noticed_soon(ratio: float, most: int) -> None:
    waits = [minutes_until_alarm(0.01 * ratio, SPEC, seed) for seed in range(20)]

    assert np.median(waits) <= most


def test_a_rise_after_a_long_good_time_is_noticed_as_soon() -> None:
    change = Change()
    for _ in range(2000):
        change = observe(change, 60, 200, 2, SPEC, USUAL)
    late = 0
    while not is_changed(change, SPEC):
        change, late = observe(change, 60, 200, 10, SPEC, USUAL), late + 1

    assert late <= 6


def test_a_rate_that_swings_over_the_day_is_learnt_as_noise_and_does_not_alarm_by_itself() -> None:
    day = [(200.0, 200 * 0.01 * (1 + 0.5 * math.sin(2 * math.pi * minute / 1440))) for minute in range(1440)]
    usual = learn_alone(day)
    change = Change()
    for requests, bad in day * 3:
        change = observe(change, 60, requests, bad, SPEC, usual)
        assert not is_changed(change, SPEC)

    assert usual.own > 1
    assert usual.rate == pytest.approx(0.01)


def test_without_a_usual_rate_nothing_is_a_change() -> None:
    assert observe(Change(), 60, 100, 100, SPEC, Noise()) == Change()


@given(st.lists(st.tuples(st.floats(), st.none() | st.floats(), st.none() | st.floats()), max_size=10))
def test_any_readings_leave_a_finite_watch_that_survives_json(seen: list[tuple[float, float, float]]) -> None:
    change = Change()
    for seconds, requests, bad in [*seen, (1.0, 10.0, 3.0)]:
        change = observe(change, seconds, requests, bad, SPEC, USUAL)

    assert all(math.isfinite(value) for value in change.sums)
    assert Change.model_validate_json(change.model_dump_json()) == change


def a_comparison(requests: float, bad: float) -> Comparison:
    return Comparison(errors=Evidence(candidate_requests=requests / 2, stable_requests=requests / 2, stable_bad=bad))


def test_what_is_usual_is_the_most_that_a_rollout_leaves_possible() -> None:
    assert usual_after(Comparison(), 0.005) is None
    assert usual_after(a_comparison(99, 5), 0.005) is None
    few, many, none = (usual_after(a_comparison(*seen), 0.005) for seen in ((200, 2), (200_000, 2000), (200_000, 0)))
    assert few is not None
    assert many is not None
    assert none is not None
    assert few.rate > 0.03
    assert 0.01 < many.rate < 0.011
    assert none.rate == 0.005


def test_what_is_usual_wanders_as_was_learnt_and_never_less_than_assumed() -> None:
    seen = a_comparison(200_000, 2000)
    wild, still = Noise(own=3.0, burst=2.0, rate=0.2, minutes=600), Noise(own=0.0, rate=0.2, minutes=600)

    usual, calm, assumed = (usual_after(seen, 0.005, noise) for noise in (wild, still, UNKNOWN))

    assert assumed == usual_after(seen, 0.005)
    assert usual
    assert calm
    assert assumed
    assert (usual.own, usual.burst) == (3.0, 2.0)
    assert calm.own == assumed.own == UNKNOWN.own
    assert usual.rate == calm.rate == assumed.rate
