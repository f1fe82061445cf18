"""Rules about what a query finds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.judgement import finding, judge, not_known, rule_seen
from models.counters import Counters
from models.judge_spec import ErrorRateRule, JudgeSpec, QueryRule
from models.judgement import Outcome, QueryState

Seen = float | Exception | None
LOST = ConnectionError("nobody answers")
ENOUGH = Counters(requests=100)


def a_rule(**changes: object) -> QueryRule:
    return QueryRule.model_validate({"metric": "query", "name": "queue", "query": "n", "at_most": 10, **changes})


def after(rule: QueryRule, *seen: Seen) -> QueryState:
    state = QueryState()
    for each in seen:
        state = rule_seen(state, rule, each)
    return state


def judged(rule: QueryRule, *seen: Seen, counts: Counters = ENOUGH) -> tuple[Outcome, str]:
    verdict = judge(JudgeSpec(rules=(rule,)), window=counts, total=counts, measured={"queue": after(rule, *seen)})
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("limits", "value", "breached"),
    [
        ({"at_most": 10}, 10, False),
        ({"at_most": 10}, 10.5, True),
        ({"at_most": None, "at_least": 0.9}, 0.9, False),
        ({"at_most": None, "at_least": 0.9}, 0.8, True),
        ({"at_most": 10, "at_least": -1}, -2, True),
        ({"at_most": 10, "at_least": -1}, 0, False),
    ],
)
def test_a_number_outside_of_its_limits_is_a_breach(limits: dict[str, float], value: float, breached: bool) -> None:
    rule = a_rule(**limits)

    assert finding(rule, after(rule, value)).breached is breached


def test_a_breach_is_said_with_its_number() -> None:
    assert judged(a_rule(at_least=1), 5, 12.25) == (
        Outcome.UNHEALTHY,
        "queue is 12.25 (failed once, 0 tolerated), allowed is at least 1 and at most 10 (0 errors in 100 requests)",
    )


def test_failures_are_borne_up_to_the_limit_over_the_whole_watch() -> None:
    rule = a_rule(failure_limit=2)

    assert judged(rule, 11, 1, 11, 1)[0] is Outcome.HEALTHY
    assert judged(rule, 11, 1, 11, 1, 12, 1) == (
        Outcome.UNHEALTHY,
        "queue is 12 (failed 3 times, 2 tolerated), allowed is at most 10 (0 errors in 100 requests)",
    )


def test_measurements_that_cannot_be_made_are_no_verdict_once_there_are_too_many_in_a_row() -> None:
    rule = a_rule()

    assert judged(rule, 1, *[LOST] * 4)[0] is Outcome.HEALTHY
    assert judged(rule, 1, *[LOST] * 5) == (
        Outcome.INCONCLUSIVE,
        "queue could not be measured 5 times in a row: nobody answers",
    )
    assert judged(rule, 1, *[LOST] * 5, 1)[0] is Outcome.HEALTHY
    assert judged(rule, 1, *[LOST] * 3, 1, *[LOST] * 3)[0] is Outcome.HEALTHY


def test_a_breach_is_one_whatever_cannot_be_measured_since() -> None:
    assert judged(a_rule(), 11, *[LOST] * 9)[0] is Outcome.UNHEALTHY


@pytest.mark.parametrize("seen", [None, math.nan, math.inf, -math.inf])
def test_no_number_is_neither_good_nor_bad(seen: float | None) -> None:
    assert judged(a_rule(), seen, seen) == (Outcome.INCONCLUSIVE, "queue found no number yet")
    assert judged(a_rule(), 1, seen) == (Outcome.INCONCLUSIVE, "queue finds no number any more")
    assert judged(a_rule(), 1, seen, LOST)[0] is Outcome.INCONCLUSIVE
    assert judged(a_rule(), 1, seen, 1)[0] is Outcome.HEALTHY
    assert judged(a_rule(), 11, seen)[0] is Outcome.UNHEALTHY
    assert finding(a_rule(), after(a_rule(), 1, seen)).observed is None


def test_a_rule_that_was_never_measured_is_never_held() -> None:
    spec = JudgeSpec(rules=(ErrorRateRule(metric="error_rate", at_most=5.0), a_rule()))

    assert judge(spec, window=ENOUGH, total=ENOUGH).outcome is Outcome.INCONCLUSIVE
    assert [each.metric for each in judge(spec, window=ENOUGH, total=ENOUGH).findings] == ["error_rate", "queue"]


def test_a_query_needs_no_requests_to_be_breached_but_to_be_held() -> None:
    assert judged(a_rule(), 11, counts=Counters())[0] is Outcome.UNHEALTHY
    assert judged(a_rule(), 1, counts=Counters())[0] is Outcome.INCONCLUSIVE


def test_errors_are_still_judged_while_a_query_is_not_answered() -> None:
    spec = JudgeSpec(rules=(ErrorRateRule(metric="error_rate", at_most=5.0), a_rule()))
    bad = Counters(requests=100, errors=50)

    assert judge(spec, window=bad, total=bad).outcome is Outcome.UNHEALTHY


@given(
    st.lists(st.floats() | st.none() | st.just(LOST), max_size=20),
    st.integers(0, 5),
    st.integers(0, 5),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_whatever_is_measured_is_counted_and_none_is_held_without_a_number(
    seen: list[Seen], failures: int, errors: int, at_most: float
) -> None:
    rule = a_rule(failure_limit=failures, consecutive_error_limit=errors, at_most=at_most)
    state = after(rule, *seen)
    failed = [each for each in seen if isinstance(each, float) and math.isfinite(each) and each > at_most]

    assert state.failures == len(failed)
    assert finding(rule, state).breached == (len(failed) > failures)
    assert QueryState.model_validate_json(state.model_dump_json()) == state

    answers = [each for each in seen if not isinstance(each, Exception)]
    has_a_number = bool(answers) and answers[-1] is not None and math.isfinite(answers[-1])
    assert has_a_number or not_known(rule, state)
    assert judged(rule, *seen)[0] is not Outcome.HEALTHY or (has_a_number and len(failed) <= failures)
