"""Watching tick by tick."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.canary_watch import CanaryWatch
from models.counters import Counters, LatencyHistogram, MetricSnapshot
from models.evidence import UNKNOWN
from models.judge_spec import EnvoyMetrics, ErrorRateRule, JudgeSpec
from models.judgement import Outcome, Verdict, Watch, WatchProgress
from tests.factories import SHOP, WHEN

TICK = timedelta(seconds=1)
JUDGE = JudgeSpec(window=timedelta(seconds=5), min_requests=20, patience=timedelta(seconds=10))
PATIENT = JUDGE.model_copy(update={"patience": timedelta(minutes=5)})

Counts = tuple[int, int]
"""Requests and errors."""


def a_watch(bake: float | None = 5, judge: JudgeSpec = JUDGE) -> Watch:
    duration = None if bake is None else timedelta(seconds=bake)
    return Watch(ref=SHOP, metrics=EnvoyMetrics(), judge=judge, stable="v1", candidate="v2", bake=duration)


class Clock:
    """Feeds a watch with cumulative counters, second by second."""

    def __init__(self, watch: Watch, progress: WatchProgress | None = None, requests: int = 0, errors: int = 0) -> None:
        self.canary = CanaryWatch(watch, progress or WatchProgress())
        self.requests, self.errors = requests, errors

    def tick(self, requests: int = 10, errors: int = 0) -> Verdict | None:
        self.requests += requests
        self.errors += errors
        counts = Counters(requests=self.requests, errors=self.errors)
        return self.canary.saw(MetricSnapshot(taken_at=WHEN, versions={"v2": counts}), elapsed=TICK)

    def restart(self) -> None:
        self.requests = self.errors = 0


def test_healthy_once_it_has_baked_long_enough() -> None:
    clock = Clock(a_watch(bake=5))

    assert [clock.tick() for _ in range(4)] == [None] * 4
    verdict = clock.tick()
    assert verdict is not None
    assert verdict.outcome is Outcome.HEALTHY


def test_unhealthy_at_the_first_tick_that_can_tell() -> None:
    clock = Clock(a_watch(bake=3600))
    clock.tick()

    assert clock.tick(requests=10, errors=2) is None
    verdict = clock.tick(requests=10, errors=2)
    assert verdict is not None
    assert verdict.outcome is Outcome.UNHEALTHY


def test_what_was_counted_before_the_watch_began_is_not_held_against_the_version() -> None:
    clock = Clock(a_watch(bake=3), requests=1000, errors=900)

    verdicts = [clock.tick() for _ in range(3)]
    assert [v.outcome for v in verdicts if v] == [Outcome.HEALTHY]


def test_too_little_traffic_is_waited_for_and_then_a_person_is_asked() -> None:
    clock = Clock(a_watch(bake=5))

    verdicts = [clock.tick(requests=1) for _ in range(15)]
    assert verdicts[:14] == [None] * 14
    assert verdicts[14] is not None
    assert verdicts[14].outcome is Outcome.INCONCLUSIVE


def test_time_without_metrics_does_not_count_as_baked() -> None:
    clock = Clock(a_watch(bake=5))
    for _ in range(4):
        clock.tick()

    assert [clock.canary.missed("Envoy does not answer", at=WHEN, elapsed=TICK) for _ in range(3)] == [None] * 3
    assert clock.canary.progress.problem == "Envoy does not answer"
    verdict = clock.tick()
    assert verdict is not None
    assert verdict.outcome is Outcome.HEALTHY


def test_metrics_that_never_come_are_inconclusive_never_healthy_or_unhealthy() -> None:
    clock = Clock(a_watch(bake=5))
    verdicts = [clock.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(10)]

    assert verdicts[:9] == [None] * 9
    assert verdicts[9] is not None
    assert verdicts[9].outcome is Outcome.INCONCLUSIVE
    assert "no answer" in verdicts[9].reason


def test_readings_that_are_missed_now_and_then_are_no_reason_to_ask_a_person() -> None:
    clock = Clock(a_watch(bake=200))
    verdicts = [
        clock.tick() if second % 3 else clock.canary.missed("no answer", at=WHEN, elapsed=TICK)
        for second in range(1, 301)
    ]

    assert clock.canary.progress.blind == 100 * TICK, "ten times what it is patient for"
    assert verdicts[:298] == [None] * 298
    assert verdicts[298] is not None
    assert verdicts[298].outcome is Outcome.HEALTHY


def test_a_gap_goes_on_at_the_worker_that_takes_over_and_is_told_for_what_it_was() -> None:
    first = Clock(a_watch(bake=60))
    for _ in range(8):
        first.canary.missed("no answer", at=WHEN, elapsed=TICK)
    first.tick()
    for _ in range(4):
        first.canary.missed("no answer", at=WHEN, elapsed=TICK)
    carried = WatchProgress.model_validate_json(first.canary.progress.model_dump_json())
    second = Clock(a_watch(bake=60), carried)
    verdicts = [second.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(6)]

    assert verdicts[:5] == [None] * 5
    assert verdicts[5] is not None
    assert verdicts[5].reason == "no metrics for 10 s: no answer"


@pytest.mark.parametrize("bake", [0, 5])
def test_a_gap_after_the_bake_adds_to_the_time_beyond_it(bake: int) -> None:
    clock = Clock(a_watch(bake=bake))
    assert [clock.tick(requests=1) for _ in range(bake + 7)] == [None] * (bake + 7)
    verdicts = [clock.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(3)]

    assert verdicts[:2] == [None] * 2
    assert verdicts[2] is not None
    assert verdicts[2].reason == "no metrics for 3 s, after 7 s more than its time: no answer"


def test_progress_of_an_older_worker_has_no_gap_yet() -> None:
    older = WatchProgress(blind=timedelta(hours=1)).model_dump(mode="json", exclude={"gap"})
    clock = Clock(a_watch(bake=60), WatchProgress.model_validate(older))

    assert [clock.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(9)] == [None] * 9


def test_counters_that_begin_anew_are_not_taken_for_a_change_of_health() -> None:
    clock = Clock(a_watch(bake=8), requests=5000)
    for _ in range(4):
        clock.tick()
    clock.restart()

    verdicts = [clock.tick() for _ in range(4)]
    assert [v.outcome for v in verdicts if v] == [Outcome.HEALTHY]
    assert clock.canary.progress.total.requests == 70


def test_another_worker_goes_on_where_the_first_one_died() -> None:
    first = Clock(a_watch(bake=6))
    for _ in range(4):
        first.tick()
    carried = WatchProgress.model_validate_json(first.canary.progress.model_dump_json())
    second = Clock(a_watch(bake=6), carried, requests=first.requests, errors=first.errors)

    assert second.tick() is None
    verdict = second.tick()
    assert verdict is not None
    assert verdict.outcome is Outcome.HEALTHY
    assert second.canary.progress.total.requests == 50


def test_errors_while_no_worker_watched_are_seen_by_the_next() -> None:
    first = Clock(a_watch(bake=60))
    first.tick()
    carried = first.canary.progress
    second = Clock(a_watch(bake=60), carried, requests=first.requests, errors=first.errors)

    verdict = second.tick(requests=100, errors=50)
    assert verdict is not None
    assert verdict.outcome is Outcome.UNHEALTHY


def test_without_a_bake_it_watches_for_ever_and_still_catches_the_version_going_bad() -> None:
    clock = Clock(a_watch(bake=None))

    assert [clock.tick() for _ in range(500)] == [None] * 500
    verdict = next(filter(None, (clock.tick(requests=20, errors=10) for _ in range(5))))
    assert verdict.outcome is Outcome.UNHEALTHY


@pytest.mark.parametrize("window", [1, 5, 30])
def test_the_window_holds_what_it_says(window: int) -> None:
    judge = JUDGE.model_copy(update={"window": timedelta(seconds=window)})
    clock = Clock(a_watch(bake=None, judge=judge))
    for _ in range(40):
        clock.tick(requests=1)

    assert clock.canary.progress.candidate.requests == min(window, 39)


class Beside:
    """Feeds a watch with the counters of two versions, second by second."""

    def __init__(self, watch: Watch) -> None:
        self.canary = CanaryWatch(watch, WatchProgress())
        self._counts = {"v1": Counters(), "v2": Counters()}

    def tick(self, candidate: Counts = (0, 0), stable: Counts = (0, 0)) -> Verdict | None:
        for version, (requests, errors) in (("v2", candidate), ("v1", stable)):
            before = self._counts[version]
            self._counts[version] = Counters(requests=before.requests + requests, errors=before.errors + errors)
        return self.canary.saw(MetricSnapshot(taken_at=WHEN, versions=dict(self._counts)), elapsed=TICK)


LENIENT = JUDGE.model_copy(update={"rules": (ErrorRateRule(metric="error_rate", at_most=50.0),)})


def test_one_that_keeps_every_rule_and_is_far_worse_than_the_stable_version_is_unhealthy() -> None:
    watch = Beside(a_watch(bake=3600, judge=LENIENT))
    verdicts = [watch.tick(candidate=(10, 2), stable=(90, 0)) for _ in range(12)]

    verdict = next(verdict for verdict in verdicts if verdict)
    assert verdict.outcome is Outcome.UNHEALTHY
    assert "v2 fails in 20.00%, v1 never" in verdict.reason
    assert "100 is needed" in verdict.reason


def test_one_that_fails_as_often_as_the_stable_version_is_not_rolled_back() -> None:
    watch = Beside(a_watch(bake=None, judge=LENIENT))

    assert [watch.tick(candidate=(10, 1), stable=(90, 9)) for _ in range(600)] == [None] * 600


def test_proof_prolongs_a_bake_until_there_is_enough_of_it() -> None:
    watch = Beside(a_watch(bake=3, judge=PATIENT).model_copy(update={"proof": True}))
    verdicts = [watch.tick(candidate=(50, 0), stable=(50, 0)) for _ in range(200)]

    first = next(index for index, verdict in enumerate(verdicts) if verdict)
    verdict = verdicts[first]
    assert first > 10
    assert verdict is not None
    assert verdict.outcome is Outcome.HEALTHY


def test_without_proof_in_time_a_person_is_asked_and_told_what_is_missing() -> None:
    watch = Beside(a_watch(bake=3).model_copy(update={"proof": True}))
    verdicts = [watch.tick(candidate=(10, 0), stable=(10, 0)) for _ in range(13)]

    verdict = verdicts[-1]
    assert verdicts[:-1] == [None] * 12
    assert verdict is not None
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "more requests are needed to call it good enough" in verdict.reason


def test_what_one_watch_found_is_known_to_the_next() -> None:
    first = Beside(a_watch(bake=200, judge=PATIENT))
    ended = [first.tick(candidate=(100, 0), stable=(100, 0)) for _ in range(200)][-1]
    assert ended is not None
    assert ended.comparison is not None
    second = Beside(a_watch(bake=2, judge=PATIENT).model_copy(update={"proof": True, "comparison": ended.comparison}))

    verdicts = [second.tick(candidate=(100, 0), stable=(100, 0)) for _ in range(3)]
    assert [verdict.outcome for verdict in verdicts if verdict] == [Outcome.HEALTHY, Outcome.HEALTHY]


def test_a_sick_stable_version_blesses_nobody() -> None:
    watch = Beside(a_watch(bake=5))
    verdicts = [watch.tick(candidate=(10, 0), stable=(10, 2)) for _ in range(15)]

    verdict = verdicts[-1]
    assert verdicts[:-1] == [None] * 14
    assert verdict is not None
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "v1 itself is not well (error_rate is 20%, allowed is 5%" in verdict.reason


def test_a_worker_that_takes_over_goes_on_with_the_evidence() -> None:
    watch = a_watch(bake=None, judge=LENIENT)
    alone, before = Beside(watch), Beside(watch)
    for _ in range(3):
        alone.tick(candidate=(10, 1), stable=(90, 1))
        before.tick(candidate=(10, 1), stable=(90, 1))
    progress = WatchProgress.model_validate_json(before.canary.progress.model_dump_json())
    before.canary = CanaryWatch(watch, progress)
    for _ in range(3):
        alone.tick(candidate=(10, 1), stable=(90, 1))
        before.tick(candidate=(10, 1), stable=(90, 1))

    assert before.canary.progress.comparison == alone.canary.progress.comparison


def test_a_reading_that_lacks_one_version_is_weighed_with_the_next() -> None:
    whole, holey = Beside(a_watch(bake=None)), Beside(a_watch(bake=None))
    for _ in range(2):
        whole.tick(candidate=(20, 0), stable=(80, 1))
        holey.tick(candidate=(20, 0), stable=(80, 1))
    holey.canary.saw(MetricSnapshot(taken_at=WHEN, versions={"v2": Counters(requests=50)}), elapsed=TICK)
    holey.tick(candidate=(20, 0), stable=(80, 1))
    whole.tick(candidate=(20, 0), stable=(80, 1))

    one, other = whole.canary.comparison.errors, holey.canary.comparison.errors
    assert (one.candidate_requests, one.stable_requests) == (other.candidate_requests, other.stable_requests)


def test_every_reading_of_a_short_watch_is_a_sample_with_its_evidence() -> None:
    watch = Beside(a_watch(bake=None))
    for _ in range(5):
        watch.tick(candidate=(10, 1), stable=(90, 1))
    watch.canary.missed("no answer", at=WHEN, elapsed=TICK)

    samples = watch.canary.samples()
    assert [sample.of_candidate.requests for sample in samples] == [10, 10, 10, 10, None]
    assert samples[3].evidence[0].metric == "errors"
    assert samples[4].problem == "no answer"
    assert watch.canary.samples() == ()


def an_afterwards_watch(rate: float = 0.01) -> Watch:
    watch = a_watch(bake=None, judge=LENIENT)
    return watch.model_copy(update={"stable": None, "usual": UNKNOWN.model_copy(update={"rate": rate})})


def test_a_promoted_version_that_fails_far_more_often_than_usual_has_turned_bad() -> None:
    watch = Beside(an_afterwards_watch())
    calm = [watch.tick(candidate=(100, 1)) for _ in range(1800)]
    verdicts = [watch.tick(candidate=(100, 10)) for _ in range(600)]

    verdict = next(verdict for verdict in verdicts if verdict)
    assert calm == [None] * 1800
    assert verdict.outcome is Outcome.UNHEALTHY
    assert "v2 turned bad" in verdict.reason
    assert "1.00% is usual" in verdict.reason


def test_a_promoted_version_that_no_metrics_tell_of_is_neither_good_nor_bad() -> None:
    watch = Beside(an_afterwards_watch())

    assert [watch.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(600)] == [None] * 600


numbers = st.one_of(st.none(), st.integers(0, 10**9))


@given(readings=st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=30), proof=st.booleans())
def test_whatever_is_read_there_is_a_verdict_or_none_and_no_verdict_without_requests(
    readings: list[tuple[int | None, int | None, int | None, int | None]], proof: bool
) -> None:
    watch = a_watch(bake=3).model_copy(update={"proof": proof})
    canary = CanaryWatch(watch, WatchProgress())
    for n, x, m, y in readings:
        versions = {
            version: Counters(requests=requests, errors=min(errors or 0, requests))
            for version, requests, errors in (("v2", n, x), ("v1", m, y))
            if requests is not None
        }
        verdict = canary.saw(MetricSnapshot(taken_at=WHEN, versions=versions), elapsed=TICK)
        if verdict and canary.progress.total.requests == 0:
            assert verdict.outcome is Outcome.INCONCLUSIVE


def test_one_instance_of_two_that_restarts_or_is_missed_once_counts_what_it_answered() -> None:
    canary = CanaryWatch(a_watch(bake=60), WatchProgress())
    readings = ({"a": 900, "b": 900}, {"a": 5, "b": 910}, {"a": 6}, {"a": 7, "b": 913})

    for reading in readings:
        parts = {name: Counters(requests=requests) for name, requests in reading.items()}
        whole = {"v2": Counters.total(parts.values())}
        canary.saw(MetricSnapshot(taken_at=WHEN, versions=whole, parts={"v2": parts}), elapsed=TICK)

    assert canary.progress.total.requests == 15 + 1 + 4


def test_ten_minutes_without_metrics_neither_promote_nor_abort() -> None:
    watch = Beside(a_watch(bake=60, judge=PATIENT).model_copy(update={"proof": True}))
    for _ in range(59):
        watch.tick(candidate=(10, 0), stable=(90, 0))
    verdicts = [watch.canary.missed("no answer", at=WHEN, elapsed=TICK) for _ in range(600)]

    assert {verdict.outcome for verdict in verdicts if verdict} == {Outcome.INCONCLUSIVE}
    assert verdicts[:299] == [None] * 299


def test_what_a_sick_stable_version_does_is_not_weighed() -> None:
    sick = Beside(a_watch(bake=None, judge=LENIENT))
    for _ in range(30):
        sick.tick(candidate=(50, 2), stable=(50, 1))
    before = sick.canary.comparison.errors
    for _ in range(60):
        sick.tick(candidate=(50, 2), stable=(50, 40))
    during = sick.canary.comparison.errors
    for _ in range(10):
        sick.tick(candidate=(50, 2), stable=(50, 1))
    after = sick.canary.comparison.errors

    assert during.stable_bad - before.stable_bad < 40 * 5, "a window's worth, until it is known to be sick"
    assert after.stable_bad - during.stable_bad < 10 + 40


def test_what_was_not_weighed_at_one_weight_is_not_weighed_with_the_next() -> None:
    first = Beside(a_watch(bake=None, judge=PATIENT))
    for _ in range(3):
        first.tick(candidate=(3, 0), stable=(400, 0))
    pooled = first.canary.comparison.errors.pooled
    carried = a_watch(bake=None, judge=LENIENT).model_copy(update={"comparison": first.canary.comparison})

    assert pooled.candidate_requests > 0
    assert CanaryWatch(carried, WatchProgress()).comparison.errors.pooled.candidate_requests == 0
    assert CanaryWatch(carried, first.canary.progress).comparison.errors.pooled == pooled, "a worker that takes over"


def test_an_instance_of_the_stable_version_that_appears_late_counts_from_then_on() -> None:
    canary = CanaryWatch(a_watch(bake=60, judge=LENIENT), WatchProgress())
    readings = ({"a": 100}, {"a": 110, "b": 5_000_000}, {"a": 120, "b": 5_000_010})
    for number, reading in enumerate(readings):
        parts = {name: Counters(requests=requests) for name, requests in reading.items()}
        candidate = Counters(requests=10 * number)
        canary.saw(
            MetricSnapshot(
                taken_at=WHEN,
                versions={"v1": Counters.total(parts.values()), "v2": candidate},
                parts={"v1": parts, "v2": {"c": candidate}},
            ),
            elapsed=TICK,
        )

    assert canary.comparison.errors.stable_requests == 10 + 20


BASELINE_WATCH = a_watch(bake=3600, judge=PATIENT).model_copy(update={"stable": "v1~baseline"})


def beside(canary: CanaryWatch, second: int, baseline: Counts, candidate: Counts, stable: Counts) -> Verdict | None:
    """What each had counted by then, of as much each second."""
    found = {"v1~baseline": baseline, "v2": candidate, "v1": stable}
    versions = {group: Counters(requests=second * n, errors=second * bad) for group, (n, bad) in found.items()}
    return canary.saw(MetricSnapshot(taken_at=WHEN, versions=versions), elapsed=TICK)


def test_of_a_baseline_its_versions_counters_are_read_too() -> None:
    assert BASELINE_WATCH.groups == ("v1~baseline", "v1", "v2")
    assert a_watch().groups == ("v1", "v2")


def test_a_candidate_that_does_as_its_baseline_does_is_not_worse_though_the_stable_version_never_fails() -> None:
    canary = CanaryWatch(BASELINE_WATCH, WatchProgress())
    verdicts = [beside(canary, second, (100, 3), (100, 3), (800, 0)) for second in range(1, 120)]
    against_stable = CanaryWatch(BASELINE_WATCH.model_copy(update={"stable": "v1"}), WatchProgress())
    found = [beside(against_stable, second, (100, 3), (100, 3), (800, 0)) for second in range(1, 120)]

    assert next(verdict for verdict in found if verdict).outcome is Outcome.UNHEALTHY
    assert not any(verdicts)
    assert canary.progress.judgement is not None
    assert canary.progress.judgement.evidence < 10
    assert "as often as the baseline of v1 (" in canary.progress.judgement.findings[0].text


def test_a_candidate_that_is_worse_than_its_baseline_is_told_so_by_its_name() -> None:
    canary = CanaryWatch(BASELINE_WATCH, WatchProgress())
    verdicts = [beside(canary, second, (100, 1), (100, 4), (800, 32)) for second in range(1, 120)]
    verdict = next(verdict for verdict in verdicts if verdict)

    assert verdict.outcome is Outcome.UNHEALTHY
    assert "times as often as the baseline of v1" in verdict.reason


def test_a_sick_baseline_is_no_measure() -> None:
    canary = CanaryWatch(BASELINE_WATCH.model_copy(update={"bake": 5 * TICK, "judge": JUDGE}), WatchProgress())
    verdicts = [beside(canary, second, (100, 50), (100, 0), (800, 0)) for second in range(1, 30)]
    verdict = next(verdict for verdict in verdicts if verdict)

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith("the baseline of v1 itself is not well")


def test_what_is_slow_is_told_by_the_past_of_the_stable_version_as_a_baseline_has_none() -> None:
    spec = PATIENT.compare.model_copy(update={"latency": "p90"})
    watch = BASELINE_WATCH.model_copy(update={"judge": PATIENT.model_copy(update={"compare": spec})})
    canary = CanaryWatch(watch, WatchProgress())
    past = LatencyHistogram(bounds_ms=(100.0, 200.0), counts=(90, 10, 0))
    versions = {"v1": Counters(requests=100, latency=past), "v1~baseline": Counters(), "v2": Counters()}
    canary.saw(MetricSnapshot(taken_at=WHEN, versions=versions), elapsed=TICK)

    assert canary.comparison.slow_bound_ms == 100.0


def test_a_baseline_that_is_first_seen_later_counts_from_its_beginning_like_the_candidate() -> None:
    canary = CanaryWatch(BASELINE_WATCH, WatchProgress())
    canary.saw(MetricSnapshot(taken_at=WHEN, versions={"v1": Counters(requests=900)}), elapsed=TICK)
    beside(canary, 1, (100, 0), (100, 0), (900, 0))

    assert (canary.progress.stable.requests, canary.progress.candidate.requests) == (100, 100)
