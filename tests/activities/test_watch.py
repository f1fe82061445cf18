"""Watching a candidate, as Temporal runs it."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.traffic import TrafficActivities
from models.counters import Counters, MetricSnapshot
from models.deployment import Instance, ProcessDeployment
from models.judge_spec import EnvoyMetrics, JudgeSpec
from models.judgement import Outcome, Watch, WatchProgress
from providers.errors import ProviderError
from tests.activities.fake_evidence_log import FakeEvidenceLog
from tests.activities.fake_keeper import FakeKeeper
from tests.factories import SHOP, WHEN

Reading = MetricSnapshot | ProviderError


class Source:
    """A metric source that gives one reading after another, the last one for ever."""

    def __init__(self, readings: Iterator[Reading]) -> None:
        self._readings = readings
        self._last: Reading | None = None

    async def snapshot(self, ref: object, spec: object, versions: object) -> MetricSnapshot:
        self._last = next(self._readings, self._last)
        if isinstance(self._last, ProviderError):
            raise self._last
        assert self._last
        return self._last

    async def measure(self, ref: object, spec: object, query: object, version: object) -> None:
        return None


def a_reading(requests: int, errors: int = 0) -> MetricSnapshot:
    return MetricSnapshot(taken_at=WHEN, versions={"v2": Counters(requests=requests, errors=errors)})


def a_watch(bake: timedelta | None) -> Watch:
    judge = JudgeSpec(tick=timedelta(milliseconds=100), window=timedelta(seconds=5), patience=timedelta(seconds=1))
    return Watch(ref=SHOP, metrics=EnvoyMetrics(), judge=judge, stable="v1", candidate="v2", bake=bake)


def an_instance_watch(bake: timedelta) -> Watch:
    return a_watch(bake).model_copy(update={"deploy": ProcessDeployment(command=("shop", "{port}"))})


def activities(*readings: Reading, deployers: Mapping[str, Any] | None = None) -> TrafficActivities:
    return TrafficActivities({}, {"envoy": Source(iter(readings))}, deployers or {}, FakeKeeper(), FakeEvidenceLog())


async def test_gives_its_verdict_and_carries_the_evidence_in_its_heartbeats() -> None:
    beats: list[WatchProgress] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    watching = activities(*(a_reading(20 * n) for n in range(1, 50)))

    verdict = await environment.run(watching.watch, a_watch(timedelta(milliseconds=400)))

    assert verdict.outcome is Outcome.HEALTHY
    assert beats[-1].total.requests == verdict.requests
    assert [beat.ticks for beat in beats] == list(range(1, len(beats) + 1))


async def test_goes_on_from_the_heartbeat_of_the_worker_before() -> None:
    environment = ActivityEnvironment()
    before = WatchProgress(watched=timedelta(hours=1), last=a_reading(1000), total=Counters(requests=1000))
    environment.info = ActivityEnvironment.default_info().__class__(
        **{**vars(environment.info), "heartbeat_details": [before.model_dump(mode="json")], "attempt": 2}
    )

    verdict = await environment.run(activities(a_reading(1100)).watch, a_watch(timedelta(hours=1)))

    assert verdict.outcome is Outcome.HEALTHY
    assert verdict.requests == 100


async def test_a_source_that_fails_is_asked_again_and_never_becomes_a_verdict_on_the_version() -> None:
    down = ProviderError("Envoy does not answer", retryable=True)

    verdict = await ActivityEnvironment().run(activities(down).watch, a_watch(timedelta(milliseconds=200)))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "Envoy does not answer" in verdict.reason


class Deployer:
    """Lists one instance of each version; after some looks that of the candidate is gone, or nothing can be seen."""

    def __init__(self, looks: int, *, unseen: bool = False) -> None:
        self._looks, self._unseen = looks, unseen

    async def instances(self, ref: object, spec: object) -> tuple[Instance, ...]:
        self._looks -= 1
        if self._looks < 0 and self._unseen:
            raise ProviderError("the instances' folder cannot be read", retryable=True)
        return tuple(
            Instance(name=f"{version}-0", version=version, address="127.0.0.1:1", pid=1, started_at=WHEN, log="")
            for version in (("v1",) if self._looks < 0 else ("v1", "v2"))
        )


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.traffic.INSTANCES_EVERY", timedelta(milliseconds=100))


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("reading", [a_reading(0), ProviderError("Envoy does not answer", retryable=True)])
async def test_a_version_whose_last_instance_ends_is_unhealthy_with_metrics_or_without(reading: Reading) -> None:
    watching = activities(reading, deployers={"process": Deployer(looks=2)})

    verdict = await ActivityEnvironment().run(watching.watch, an_instance_watch(timedelta(hours=1)))

    assert verdict.outcome is Outcome.UNHEALTHY
    assert verdict.reason == "1 instance of v2 ended by itself within 10m, and none is left"


@pytest.mark.usefixtures("looks_often")
async def test_instances_that_cannot_be_seen_are_no_end_of_them() -> None:
    watching = activities(
        *(a_reading(20 * n) for n in range(1, 50)), deployers={"process": Deployer(looks=2, unseen=True)}
    )

    verdict = await ActivityEnvironment().run(watching.watch, an_instance_watch(timedelta(milliseconds=600)))

    assert verdict.outcome is Outcome.HEALTHY


async def test_a_stopping_worker_hands_the_watch_over_at_once() -> None:
    environment = ActivityEnvironment()
    beaten = asyncio.Event()
    environment.on_heartbeat = lambda *_: beaten.set()
    watching = asyncio.ensure_future(environment.run(activities(a_reading(1)).watch, a_watch(None)))
    await beaten.wait()
    environment.worker_shutdown()

    with pytest.raises(ApplicationError) as failure:
        await asyncio.wait_for(watching, timeout=5)
    assert failure.value.type == "WorkerStopping"
    assert not failure.value.non_retryable


async def test_it_is_seen_to_live_while_a_reading_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.heartbeats.BEAT", timedelta(milliseconds=10))
    beats: list[WatchProgress] = []
    environment = ActivityEnvironment()
    before = WatchProgress(watched=timedelta(hours=1), last=a_reading(1000))
    environment.info = replace(environment.info, heartbeat_details=[before.model_dump(mode="json")], attempt=2)
    seen = asyncio.Event()

    def heard(beat: WatchProgress) -> None:
        beats.append(beat)
        seen.set()

    environment.on_heartbeat = heard

    class Stuck(Source):
        async def snapshot(self, ref: object, spec: object, versions: object) -> MetricSnapshot:
            await asyncio.Event().wait()
            raise AssertionError

    watching = TrafficActivities({}, {"envoy": Stuck(iter(()))}, {}, FakeKeeper(), FakeEvidenceLog())
    running = asyncio.create_task(environment.run(watching.watch, a_watch(timedelta(hours=2))))
    await asyncio.wait_for(seen.wait(), 5)
    running.cancel()
    await asyncio.wait([running])

    assert beats[0] == before


async def test_a_watch_is_seen_to_live_between_looks_that_are_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.traffic.LONGEST_WITHOUT_BEAT", timedelta(milliseconds=10))
    beats: list[WatchProgress] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append

    await environment.run(activities(a_reading(0), a_reading(100)).watch, a_watch(timedelta(milliseconds=150)))

    assert len(beats) > 3 * len({beat.ticks for beat in beats})


async def test_where_many_watch_each_has_its_say_less_often_and_a_stopping_worker_hands_over_what_was_seen_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three watches share ten heartbeats a second, so at ten looks a second each has every third or fourth."""
    monkeypatch.setattr("activities.traffic.BEATS_A_SECOND", 10)
    watching = activities(*(a_reading(20 * n) for n in range(1, 200)))
    watches = [ActivityEnvironment() for _ in range(3)]
    beats: list[list[WatchProgress]] = [[] for _ in watches]
    for environment, heard in zip(watches, beats, strict=True):
        environment.on_heartbeat = heard.append
    running = [asyncio.ensure_future(each.run(watching.watch, a_watch(None))) for each in watches]
    while any(not heard or heard[-1].ticks < 9 for heard in beats):
        await asyncio.sleep(0.02)
    in_time = [[beat.ticks for beat in heard] for heard in beats]
    for environment in watches:
        environment.worker_shutdown()
    await asyncio.wait_for(asyncio.wait(running), timeout=5)

    assert all(later - earlier >= 2 for ticks in in_time for earlier, later in pairwise(ticks[1:]))
    assert all(isinstance(each.exception(), ApplicationError) for each in running)
    assert all(len(heard) > len(ticks) for heard, ticks in zip(beats, in_time, strict=True))
