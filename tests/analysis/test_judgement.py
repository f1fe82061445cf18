"""Plain thresholds."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis.judgement import judge
from models.counters import Counters, LatencyHistogram
from models.judge_spec import ErrorRateRule, JudgeSpec, LatencyRule
from models.judgement import Outcome
from tests.analysis.test_metrics import counters

ERRORS = ErrorRateRule(metric="error_rate", at_most=5.0)
SLOW = LatencyRule(metric="latency_p95", at_most=timedelta(milliseconds=300))
SPEC = JudgeSpec(rules=(ERRORS, SLOW), min_requests=20)
NOTHING = Counters()


def fast(requests: int, errors: int = 0) -> Counters:
    latency = LatencyHistogram(bounds_ms=(100.0, 1000.0), counts=(requests, 0, 0))
    return Counters(requests=requests, errors=errors, latency=latency)


def slow(requests: int) -> Counters:
    return Counters(requests=requests, latency=LatencyHistogram(bounds_ms=(100.0, 1000.0), counts=(0, requests, 0)))


def test_every_rule_held_is_healthy() -> None:
    assert judge(SPEC, window=fast(20, errors=1), total=fast(20, errors=1)).outcome is Outcome.HEALTHY


def test_more_errors_than_allowed_are_unhealthy_and_the_reason_says_the_numbers() -> None:
    verdict = judge(SPEC, window=fast(20, errors=2), total=fast(20, errors=2))

    assert verdict.outcome is Outcome.UNHEALTHY
    assert verdict.reason == "error_rate is 10%, allowed is 5% (2 errors in 20 requests)"


def test_a_slow_version_is_unhealthy() -> None:
    verdict = judge(SPEC, window=slow(50), total=slow(50))

    assert verdict.outcome is Outcome.UNHEALTHY
    assert "latency_p95 is 955 ms, allowed is 300 ms" in verdict.reason


def test_too_few_requests_are_no_verdict_however_bad_they_look() -> None:
    assert judge(SPEC, window=fast(19, errors=19), total=fast(19, errors=19)).outcome is Outcome.INCONCLUSIVE


def test_a_quiet_window_is_judged_by_everything_seen_in_the_step() -> None:
    assert judge(SPEC, window=fast(5, errors=0), total=fast(40, errors=8)).outcome is Outcome.UNHEALTHY


def test_a_window_gone_bad_is_not_hidden_by_a_good_past() -> None:
    assert judge(SPEC, window=fast(50, errors=10), total=fast(10_000, errors=10)).outcome is Outcome.UNHEALTHY


def test_nothing_is_no_verdict() -> None:
    assert judge(SPEC, window=NOTHING, total=NOTHING).outcome is Outcome.INCONCLUSIVE


@given(counters(), counters())
def test_there_is_a_verdict_for_any_counts_and_none_without_enough_requests(window: Counters, total: Counters) -> None:
    verdict = judge(SPEC, window=window, total=total)

    assert verdict == judge(SPEC, window=window, total=total)
    if max(window.requests, total.requests) < SPEC.min_requests:
        assert verdict.outcome is Outcome.INCONCLUSIVE
    if verdict.outcome is Outcome.UNHEALTHY:
        assert any(finding.breached for finding in verdict.findings)


@given(st.integers(0, 5), st.integers(20, 2000))
def test_unhealthy_exactly_when_the_share_is_over_the_limit(errors: int, requests: int) -> None:
    counts = Counters(requests=requests, errors=errors)
    expected = Outcome.UNHEALTHY if errors * 100 > 5 * requests else Outcome.HEALTHY

    assert judge(JudgeSpec(rules=(ERRORS,)), window=counts, total=counts).outcome is expected
