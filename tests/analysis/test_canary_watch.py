"""Watching tick by tick."""

from datetime import timedelta

import pytest

from analysis.canary_watch import CanaryWatch
from models.judgement import Counters, EnvoyMetrics, JudgeSpec, MetricSnapshot, Outcome, Verdict, Watch, WatchProgress
from tests.factories import SHOP, WHEN

TICK = timedelta(seconds=1)
JUDGE = JudgeSpec(window=timedelta(seconds=5), min_requests=20, patience=timedelta(seconds=10))


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

    assert [clock.canary.missed("Envoy does not answer", elapsed=TICK) for _ in range(3)] == [None] * 3
    assert clock.canary.progress.problem == "Envoy does not answer"
    verdict = clock.tick()
    assert verdict is not None
    assert verdict.outcome is Outcome.HEALTHY


def test_metrics_that_never_come_are_inconclusive_never_healthy_or_unhealthy() -> None:
    clock = Clock(a_watch(bake=5))
    verdicts = [clock.canary.missed("no answer", elapsed=TICK) for _ in range(10)]

    assert verdicts[:9] == [None] * 9
    assert verdicts[9] is not None
    assert verdicts[9].outcome is Outcome.INCONCLUSIVE
    assert "no answer" in verdicts[9].reason


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


def test_one_instance_of_two_that_restarts_or_is_missed_once_counts_what_it_answered() -> None:
    canary = CanaryWatch(a_watch(bake=60), WatchProgress())
    readings = ({"a": 900, "b": 900}, {"a": 5, "b": 910}, {"a": 6}, {"a": 7, "b": 913})

    for reading in readings:
        parts = {name: Counters(requests=requests) for name, requests in reading.items()}
        whole = {"v2": Counters.total(parts.values())}
        canary.saw(MetricSnapshot(taken_at=WHEN, versions=whole, parts={"v2": parts}), elapsed=TICK)

    assert canary.progress.total.requests == 15 + 1 + 4
