"""What all the evidence comes to."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from analysis.evidence import Reading, update
from analysis.verdicts import compare, decide
from models.evidence import (
    Decision,
    Evidence,
    EvidenceSpec,
    JudgedMetric,
    Judgement,
)
from tests.analysis.test_evidence import SPEC, STILL, readings


def metric(*seen: Reading, name: str = "error_rate", weight: float = 1.0, verb: str = "fails") -> JudgedMetric:
    evidence = Evidence()
    for reading in seen:
        evidence = update(evidence, reading, SPEC, STILL)
    return JudgedMetric(name=name, verb=verb, weight=weight, evidence=evidence, noise=STILL)


def judged(metrics: Sequence[JudgedMetric]) -> Judgement:
    return decide(metrics, alpha=SPEC.alpha, candidate="v3", stable="v2")


BAD = metric(*[Reading(60, 62, 3.1, 558, 1.2)] * 10)
GOOD = metric(*[Reading(60, 1000, 10, 9000, 90)] * 60)
CLEAN = metric(*[Reading(60, 200, 0, 1800, 0)] * 60)
EMPTY = metric()


def test_a_worse_version_is_rolled_back_and_the_reason_says_the_numbers() -> None:
    verdict = judged([BAD])

    assert verdict.decision is Decision.ROLL_BACK
    assert verdict.reason.startswith("v3 fails 23 times as often as v2 (31 of 620 against 12 of 5,580); evidence ")
    assert verdict.reason.endswith(", 100 is needed")


def test_a_version_that_is_as_good_is_good_enough() -> None:
    verdict = judged([GOOD])

    assert verdict.decision is Decision.PROMOTE
    assert verdict.reason == "v3 fails as often as v2 (600 of 60,000 against 5,400 of 540,000); that is good enough"


def test_clean_requests_are_enough_where_nothing_fails() -> None:
    assert judged([CLEAN]).decision is Decision.PROMOTE


def test_nothing_seen_is_no_verdict() -> None:
    verdict = judged([EMPTY])

    assert verdict.decision is Decision.GO_ON
    assert verdict.reason == "nothing was seen of v3 and v2 (0 of 0 against 0 of 0), which says nothing yet"
    assert judged([]).decision is Decision.GO_ON


def test_what_is_needed_yet_is_about_what_it_takes() -> None:
    few = [Reading(60, 1000, 10, 9000, 90)]
    needed = judged([metric(*few)]).findings[0].requests_needed
    assert needed is not None

    decisions = [judged([metric(*few * times)]).decision for times in (1, needed // 1500, needed // 600)]

    assert decisions == [Decision.GO_ON, Decision.GO_ON, Decision.PROMOTE]


def test_one_bad_metric_of_several_rolls_back_and_is_the_reason() -> None:
    slow = metric(*[Reading(60, 200, 100, 1800, 90)] * 5, name="latency_p95", verb="is slower than 250 ms")
    verdict = judged([GOOD, slow])

    assert verdict.decision is Decision.ROLL_BACK
    assert verdict.reason.startswith("v3 is slower than 250 ms 10 times as often as v2 (500 of 1,000 against")
    assert [finding.worse_needed for finding in verdict.findings] == [200, 200]


def test_every_metric_must_be_good_enough() -> None:
    assert judged([GOOD, EMPTY]).decision is Decision.GO_ON


def test_a_metric_without_weight_never_rolls_back() -> None:
    assert judged([BAD.model_copy(update={"weight": 0.0}), GOOD]).decision is not Decision.ROLL_BACK


def test_a_version_gone_bad_is_told_by_what_it_does_of_late() -> None:
    late = metric(*[Reading(60, 200, 2, 1800, 18)] * 60, *[Reading(60, 200, 40, 1800, 18)] * 6)

    assert compare(late.evidence, "fails", "v3", "v2").startswith("of late v3 fails 19 times as often as v2 (about ")


@given(st.lists(readings, max_size=8), st.lists(readings, max_size=8), st.floats())
def test_any_readings_have_a_judgement_that_repeats(one: list[Reading], other: list[Reading], weight: float) -> None:
    metrics = [metric(*one, weight=weight), metric(*other), metric(*one, weight=1 / weight if weight else 1e308)]

    verdict = judged(metrics)

    assert verdict.reason
    assert verdict == judged(metrics)
    assert Judgement.model_validate_json(verdict.model_dump_json()) == verdict


@given(st.lists(st.sampled_from([Reading(60, None, None, 100, 3), Reading(60, 0, 0, 0, 0)]), max_size=30))
def test_without_data_of_the_candidate_there_is_no_verdict_in_either_direction(seen: list[Reading]) -> None:
    assert judged([metric(*seen)]).decision is Decision.GO_ON


def test_settings_say_what_they_allow() -> None:
    assert EvidenceSpec().model_json_schema()["additionalProperties"] is False


def test_two_versions_that_never_fail_are_said_to_be_so_in_one_breath() -> None:
    evidence = Evidence(candidate_requests=52, stable_requests=449)

    assert compare(evidence, "fails", "v2", "v1") == "neither v2 nor v1 fails (0 of 52 against 0 of 449)"
