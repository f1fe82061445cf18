"""Evidence of one metric: never more than chance allows, and there for any input."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bets import log_add, log_mean, log_sum
from analysis.evidence import (
    BURST_COST,
    MOST_APART_MINUTES,
    POOLED_REQUESTS,
    WORSE,
    WORSE_WHERE_IT_WANDERS,
    Reading,
    log_fine,
    log_worse,
    tempering,
    update,
)
from models.evidence import Evidence, EvidenceSpec, Noise

SPEC = EvidenceSpec()
TOLERANT = EvidenceSpec(delta=0.25)
STILL = Noise()
WANDERING = Noise(own=2.0, burst=3.0, rate=0.1, minutes=60)
SPELLED = WANDERING.model_copy(update={"spell": 4.0, "swing": 0.5})
BURSTING = Noise(burst=8.0, bursts=1 / 360, rate=0.01, minutes=1440)
NOISES = {"still": STILL, "wandering": WANDERING, "by spells": SPELLED, "bursting": BURSTING}
RATES = (0.01, 0.2, 0.5, 0.8, 0.99)

anything = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0, 1e300, 5e-324]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(0, 5000).map(float),
)
readings = st.builds(Reading, st.one_of(st.floats(), st.just(1.0)), anything, anything, anything, anything)


def binomial(n: int, rate: float) -> list[float]:
    return [math.comb(n, x) * rate**x * (1 - rate) ** (n - x) for x in range(n + 1)]


def mean_factor(kind: str, f: float, g: float, spec: EvidenceSpec, noise: Noise, n: int = 10, m: int = 14) -> float:
    """What one weighed reading multiplies the evidence by in the mean, over everything that can happen in it."""
    total = 0.0
    staked = log_sum(update(Evidence(), Reading(60, n, 0, m, 0), spec, noise).worse) if kind == "worse" else 0.0
    for (x, p), (y, q) in product(enumerate(binomial(n, f)), enumerate(binomial(m, g))):
        after = getattr(update(Evidence(), Reading(60, n, x, m, y), spec, noise), kind)
        total += p * q * math.exp(log_sum(after) - staked)
    return total


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES.keys())
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("spec", [SPEC, TOLERANT], ids=["delta 0", "delta 25%"])
def test_no_evidence_is_gained_in_the_mean_while_the_candidate_is_not_worse(
    rate: float, spec: EvidenceSpec, noise: Noise
) -> None:
    worst = min(1.0, rate * (1 + spec.delta))

    assert mean_factor("worse", worst, rate, spec, noise) <= 1 + 1e-9
    assert mean_factor("worse", worst / 2, rate, spec, noise) <= 1 + 1e-9


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES.keys())
@pytest.mark.parametrize("rate", [rate for rate in RATES if rate * 1.5 <= 1])
def test_nothing_speaks_for_a_candidate_in_the_mean_that_is_worse_than_tolerated(rate: float, noise: Noise) -> None:
    assert mean_factor("fine", 1.5 * rate, rate, SPEC, noise) <= 1 + 1e-9
    assert mean_factor("fine", 1.0, rate, SPEC, noise) <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.5])
def test_a_rate_is_not_shown_to_be_negligible_in_the_mean_unless_it_is(rate: float) -> None:
    assert mean_factor("low", rate, 0.5, SPEC, STILL) <= 1 + 1e-9


def test_the_means_above_would_show_a_worse_candidate() -> None:
    assert mean_factor("worse", 0.3, 0.1, SPEC, STILL) > 1
    assert mean_factor("fine", 0.1, 0.1, SPEC, STILL) > 1
    assert mean_factor("low", 0.0001, 0.1, SPEC, STILL) > 1


def test_a_version_as_good_as_the_stable_one_is_rarely_thought_worse_however_often_one_looks() -> None:
    chance = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        evidence = Evidence()
        for _ in range(60):
            x, y = (float(chance.binomial(n, 0.05)) for n in (12, 30))
            evidence = update(evidence, Reading(1, 12, x, 30, y), EvidenceSpec(alpha=0.2), STILL)
            if log_worse(evidence) >= math.log(1 / 0.2):
                wrong += 1
                break

    assert 0 < wrong <= 0.2 * 300


def test_a_fifth_of_requests_failing_beside_a_clean_version_is_found_within_seconds() -> None:
    evidence, seconds = Evidence(), 0
    while log_worse(evidence) < math.log(100):
        evidence, seconds = update(evidence, Reading(1, 5, 1, 45, 0), SPEC, STILL), seconds + 1

    assert seconds <= 6


def test_a_version_that_turns_bad_after_an_hour_is_found_within_minutes() -> None:
    evidence = Evidence()
    for _ in range(60):
        evidence = update(evidence, Reading(60, 200, 2, 3800, 38), SPEC, STILL)
    late = 0
    while log_worse(evidence) < math.log(100):
        evidence, late = update(evidence, Reading(60, 200, 10, 3800, 38), SPEC, STILL), late + 1

    assert late <= 4


def test_enough_clean_requests_promote_where_nothing_ever_fails() -> None:
    evidence, requests = Evidence(), 0
    while log_fine(evidence) < math.log(1 / SPEC.beta):
        evidence, requests = update(evidence, Reading(1, 10, 0, 90, 0), SPEC, STILL), requests + 10

    assert 500 < requests < 2000


@pytest.mark.parametrize(
    "alone", [Reading(1, 50, 50, 0, 0), Reading(1, 50, 50, None, None), Reading(1, None, None, 50, 0)]
)
def test_one_side_alone_says_nothing_about_worse(alone: Reading) -> None:
    evidence = Evidence()
    for _ in range(1000):
        evidence = update(evidence, alone, SPEC, STILL)

    assert log_worse(evidence) == log_worse(Evidence())


def alternating(bad: float, minutes: int) -> Evidence:
    evidence = Evidence()
    for minute in range(minutes):
        candidate, stable = Reading(60, 200, bad, None, None), Reading(60, None, None, 3800, 38)
        evidence = update(evidence, candidate if minute % 2 else stable, SPEC, STILL)
    return evidence


def test_minutes_of_which_one_side_is_known_are_held_against_those_of_the_other_nearby() -> None:
    assert log_worse(alternating(6, 60)) > math.log(100)
    assert log_worse(alternating(2, 60)) < 0


def test_what_one_side_missed_rolls_nothing_back_at_once() -> None:
    assert log_worse(alternating(200, 7)) < math.log(100)


def test_the_other_side_is_not_waited_for_without_end() -> None:
    evidence = Evidence()
    for _ in range(600):
        evidence = update(evidence, Reading(1, 50, 50, None, None), SPEC, STILL)
    evidence = update(evidence, Reading(1, None, None, 50, 0), SPEC, STILL)

    assert evidence.apart.minutes <= MOST_APART_MINUTES
    assert evidence.apart.candidate_requests < 600 * 50


def test_a_burst_raises_evidence_no_further_than_bursts_may_however_it_is_read() -> None:
    for readings_each in (1, 10):
        evidence = Evidence()
        for _ in range(readings_each):
            evidence = update(
                evidence,
                Reading(10 / readings_each, 400 / readings_each, 200 / readings_each, 8000, 80),
                SPEC,
                BURSTING,
            )

        assert 0 < log_worse(evidence) < BURST_COST


def test_a_version_that_is_bad_for_longer_than_a_burst_is_found_within_minutes_all_the_same() -> None:
    evidence, minutes = Evidence(), 0.0
    while log_worse(evidence) < math.log(100):
        evidence, minutes = update(evidence, Reading(5, 400, 20, 8000, 80), SPEC, BURSTING), minutes + 5 / 60

    assert minutes < 2.5


def test_bursts_of_which_the_frequency_is_unknown_lower_evidence_by_their_size() -> None:
    reading = Reading(60, 400, 20, 8000, 80)
    known, unknown = (
        update(Evidence(), reading, SPEC, BURSTING.model_copy(update={"bursts": bursts})) for bursts in (1e-9, 0.0)
    )

    assert log_worse(unknown) < log_worse(known)


def test_evidence_of_an_older_version_goes_on() -> None:
    older = Evidence().model_dump(exclude={"apart", "departure", "room"})

    evidence = update(Evidence.model_validate(older), Reading(60, 200, 2, 3800, 38), SPEC, SPELLED)

    assert evidence.worse


def test_a_second_with_a_request_on_one_side_only_is_weighed_with_those_around_it() -> None:
    apart = Evidence()
    for _ in range(10):
        apart = update(apart, Reading(1, 1, 1, 0, 0), SPEC, STILL)
        apart = update(apart, Reading(1, 0, 0, 1, 0), SPEC, STILL)
    together = update(Evidence(), Reading(20, 10, 10, 10, 0), SPEC, STILL)

    assert apart.worse == pytest.approx(together.worse)


def test_when_readings_are_weighed_depends_on_requests_alone() -> None:
    for bad in (0, int(POOLED_REQUESTS)):
        waiting = update(Evidence(), Reading(1, POOLED_REQUESTS - 1, 0, 500, bad), SPEC, STILL)
        weighed = update(waiting, Reading(1, 1, 0, 0, 0), SPEC, STILL)

        assert (waiting.worse, bool(weighed.worse)) == ((), True)


def test_noise_of_one_group_makes_evidence_slower_and_the_more_so_the_more_traffic() -> None:
    assert tempering(5.0, STILL, 1.0) == 1.0
    assert 1 > tempering(0.1, WANDERING, 1.0) > tempering(5.0, WANDERING, 1.0) > 0


@given(st.lists(readings, max_size=12), st.sampled_from([*NOISES.values()]))
def test_any_readings_leave_finite_evidence_that_survives_json_and_repeats_exactly(
    seen: list[Reading], noise: Noise
) -> None:
    one, other = Evidence(), Evidence()
    for reading in seen:
        one = update(one, reading, SPEC, noise)
        other = update(Evidence.model_validate_json(other.model_dump_json()), reading, SPEC, noise)

    assert one.model_dump_json() == other.model_dump_json()
    assert all(math.isfinite(value) for value in (*one.worse, *one.fine, *one.low, log_worse(one), log_fine(one)))


@given(readings)
def test_a_reading_without_sense_changes_nothing(reading: Reading) -> None:
    nonsense = reading._replace(candidate_requests=math.nan, stable_bad=-1.0)

    assert update(Evidence(), nonsense, SPEC, STILL) == Evidence(unusable=1)


def test_the_money_on_worse_ratios_is_spent_once() -> None:
    assert sum(share for _, share in WORSE) == pytest.approx(1)
    assert sum(share for _, share in WORSE_WHERE_IT_WANDERS) == pytest.approx(1)


def test_sums_of_logarithms() -> None:
    assert log_sum([]) < -1e5
    assert log_add(math.log(2), math.log(3)) == pytest.approx(math.log(5))
    assert log_mean([math.log(2), math.log(6)], [1, 3]) == pytest.approx(math.log(5))
    assert log_mean([1.0], [0.0]) < -1e5
