"""What is learnt from equals."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dispersion import Pair, learn, over_dispersion
from models.evidence import UNKNOWN

RATE, REQUESTS, REST = 0.01, 2000, 18_000


def history(factor: Callable[[np.random.Generator], np.ndarray], seed: int = 3, minutes: int = 1440) -> list[Pair]:
    chance = np.random.default_rng(seed)
    rates = np.clip(RATE * factor(chance)[:minutes], 0, 1)
    return [
        Pair(REQUESTS, float(chance.binomial(REQUESTS, rate)), REST, float(chance.binomial(REST, RATE)))
        for rate in rates
    ]


def still(_: np.random.Generator) -> np.ndarray:
    return np.ones(1440)


def wandering(chance: np.random.Generator, rho: float = 0.9, swing: float = 0.3) -> np.ndarray:
    logs = [chance.normal(0, swing)]
    for shock in chance.normal(0, swing * math.sqrt(1 - rho**2), 1439):
        logs.append(rho * logs[-1] + shock)
    return np.exp(np.array(logs) - swing**2 / 2)


def bursting(_: np.random.Generator) -> np.ndarray:
    return np.where(np.arange(1440) % 400 == 399, 10.0, 1.0)


def test_equals_that_share_failures_by_chance_alone_have_hardly_any_noise() -> None:
    found = [learn(history(still, seed)) for seed in range(20)]

    assert sorted(noise.own for noise in found)[10] == 0
    assert max(noise.own for noise in found) < 0.05
    assert {noise.burst for noise in found} == {0.0}
    assert found[0].rate == pytest.approx(RATE, rel=0.02)
    assert found[0].minutes == 1440


def test_wandering_from_minute_to_minute_is_found_as_its_long_run_variance() -> None:
    found = sorted(learn(history(wandering, seed)).own for seed in range(20))

    assert 0.8 < found[10] / (0.3**2 * 19) < 2.2
    assert found[0] > 0.5 * 0.3**2 * 19


def test_the_longer_the_blocks_the_more_a_slow_wandering_shows() -> None:
    seen = history(wandering)

    assert over_dispersion(seen, 20) > 2 * over_dispersion(seen, 1) > 2
    assert over_dispersion(history(still), 20) < 2


def test_a_burst_is_told_in_minutes_of_usual_failures() -> None:
    assert 7 < learn(history(bursting)).burst < 16


def test_bursts_are_counted_and_are_not_taken_for_wandering() -> None:
    found = learn(history(bursting))

    assert found.bursts == pytest.approx(4 / 1440)
    assert found.own < 0.05
    assert learn(history(still)).bursts == 0
    assert learn(history(wandering)).bursts <= 3 / 1440


@pytest.mark.parametrize(("rho", "minutes"), [(0.5, 1.44), (0.8, 4.5), (0.9, 9.5)])
def test_for_how_long_groups_depart_and_how_far_is_found(rho: float, minutes: float) -> None:
    found = [learn(history(lambda chance: wandering(chance, rho), seed)) for seed in range(20)]

    assert 0.5 < sorted(noise.spell for noise in found)[10] / minutes < 1.6
    assert 0.8 < sorted(noise.swing for noise in found)[10] / 0.3 < 1.35


def test_nothing_is_said_of_departures_that_chance_explains() -> None:
    found = [learn(history(still, seed)) for seed in range(20)]

    assert sum(noise.swing > 0 for noise in found) <= 5
    assert max(noise.swing for noise in found) < 0.1


def test_without_history_noise_is_assumed() -> None:
    assert learn([]) == UNKNOWN
    assert learn([Pair(100, 0, 100, 0)] * 60).own == UNKNOWN.own


@given(st.lists(st.builds(Pair, *[st.floats() | st.integers(0, 50).map(float)] * 4), max_size=70))
def test_any_history_gives_finite_noise(seen: list[Pair]) -> None:
    noise = learn(seen)

    assert all(math.isfinite(value) and value >= 0 for value in noise.model_dump().values())
    assert noise == learn(seen)
