"""Bets where a group wanders by itself: never more than chance allows, nor than wandering explains."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evidence import Reading, log_worse, update
from analysis.wandering import FURTHEST, waited, wanders, weighed
from models.evidence import Departure, Evidence, EvidenceSpec, Noise

SPEC = EvidenceSpec()
NOISE = Noise(own=2 * 0.42**2 * 9.5, spell=9.5, swing=0.42, rate=0.01, minutes=1440)
RATIOS = tuple(math.log(ratio) for ratio in (1.2, 2.4, 15.0))


def chances(total: int, share: float) -> list[float]:
    return [math.comb(total, bad) * share**bad * (1 - share) ** (total - bad) for bad in range(total + 1)]


@pytest.mark.parametrize("swing", [0.1, 0.6, 1.5])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("total", [1, 3, 20, 100])
@pytest.mark.parametrize("expected", [-1.0, 0.0, 1.0])
def test_by_chance_alone_nothing_is_gained_in_the_mean(total: int, share: float, swing: float, expected: float) -> None:
    before, noise = Departure(expected=expected, unknown=0.7, taken=0.3), Noise(spell=4, swing=swing)
    means = [0.0] * len(RATIOS)
    for bad, chance in enumerate(chances(total, share)):
        counts = (1000 * share, float(bad), 1000 * (1 - share), float(total - bad))
        gains, _ = weighed(before, 0.5, counts, RATIOS, noise, 2 * total * share * (1 - share))
        means = [mean + chance * math.exp(gain) for mean, gain in zip(means, gains, strict=True)]

    assert max(means) <= 1 + 1e-9


def test_the_means_above_would_show_a_worse_candidate() -> None:
    mean = 0.0
    for bad, chance in enumerate(chances(20, 0.5)):
        counts = (100.0, float(bad), 900.0, float(20 - bad))
        gains, _ = weighed(Departure(), 0.5, counts, RATIOS[1:2], Noise(spell=4, swing=0.3), 2.0)
        mean += chance * math.exp(gains[0])

    assert mean > 2


def rates(chance: np.random.Generator, minutes: int) -> list[float]:
    """One arm's rate by the minute; its logarithm is AR(1), of deviation 0.3."""
    log, found = float(chance.normal(0, 0.3)), []
    for shock in chance.normal(0, 0.3 * math.sqrt(1 - 0.9**2), minutes):
        found.append(0.01 * math.exp(log - 0.045))
        log = 0.9 * log + shock
    return found


def watched(chance: np.random.Generator, ratio: float, noise: Noise, requests: int = 1000) -> int | None:
    """After how many half minutes the evidence suffices."""
    evidence, rest = Evidence(), 9 * requests
    pairs = zip(rates(chance, 60), rates(chance, 60), strict=True)
    for half, (one, other) in enumerate(pair for pair in pairs for _ in range(2)):
        x, y = chance.binomial(requests, min(1.0, one * ratio)), chance.binomial(rest, other)
        evidence = update(evidence, Reading(30, requests, float(x), rest, float(y)), SPEC, noise)
        if log_worse(evidence) >= math.log(1 / SPEC.alpha):
            return half + 1
    return None


def test_groups_that_wander_are_taken_for_a_worse_version_no_more_often_than_promised() -> None:
    chance = np.random.default_rng(4)

    wrong = sum(watched(chance, 1.0, NOISE) is not None for _ in range(150))
    unprepared = sum(watched(chance, 1.0, Noise(rate=0.01, minutes=1440)) is not None for _ in range(50))

    assert wrong <= 2
    assert unprepared > 10


def test_a_much_worse_version_is_found_sooner_than_by_the_long_run_alone() -> None:
    chance = np.random.default_rng(5)
    no_spell = NOISE.model_copy(update={"spell": 0.0})
    by_spells = sorted(watched(chance, 5.0, NOISE, 20_000) or 999 for _ in range(9))
    by_long_run = sorted(watched(chance, 5.0, no_spell, 20_000) or 999 for _ in range(9))

    assert by_spells[4] <= 4
    assert by_long_run[4] > 2 * by_spells[4]


def test_what_lasts_is_taken_for_a_departure_and_forgotten_while_nothing_is_seen() -> None:
    departure = Departure()
    for _ in range(20):
        _, departure = weighed(departure, 0.5, (1000, 30, 9000, 90), RATIOS, NOISE, 10)
    _, later = weighed(waited(departure, 600), 0.5, (1, 0, 9, 0), RATIOS, NOISE, 0)

    assert 0.8 < departure.expected < math.log(3)
    assert 0.5 < departure.taken < 1
    assert later.expected == pytest.approx(0, abs=1e-6)
    assert later.unknown == pytest.approx(1)
    assert later.waited == 0


def test_without_a_spell_nothing_is_known_of_departures() -> None:
    assert not wanders(Noise(own=2.0))
    assert wanders(NOISE)


@given(
    st.tuples(*[st.floats(1e-6, 1e15), st.floats(0, 1e15)] * 2),
    st.floats(0, 1e6),
    st.floats(1e-6, 1e9),
    st.floats(1e-9, 50),
    st.floats(0, 1e12),
)
def test_any_counts_leave_finite_gains(
    counts: tuple[float, float, float, float], minutes: float, spell: float, swing: float, information: float
) -> None:
    noise = Noise(spell=spell, swing=swing)
    gains, after = weighed(Departure(), minutes, counts, RATIOS, noise, information)

    assert all(math.isfinite(gain) for gain in gains)
    assert -FURTHEST <= after.expected <= FURTHEST
    assert 0 <= after.unknown <= 1
    assert 0 <= after.taken <= 1
