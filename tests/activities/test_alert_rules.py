"""Looking at what rules are about, as Temporal runs it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.alert_rules import RuleWatch
from models.alert import AlertStatus
from models.alert_rules import AlertRule, RuleSet, RuleStanding, RulesWatched, WatchRules
from models.counters import Counters, MetricSnapshot
from models.judge_spec import MetricsSpec
from models.metric_sources import HttpMetrics, PrometheusMetrics
from models.series import FoundSeries
from models.traffic import TrafficSplit
from providers.errors import ProviderError
from tests.analysis.rule_factories import a_file_set, a_promql_rule, a_rule, a_set
from tests.workflows.fake_source import FakeCounters, FakeSeries

TICK = timedelta(milliseconds=20)
DOWN = ProviderError("Prometheus does not answer", retryable=True)


ALONE = TrafficSplit(stable="v1")


class Router:
    def __init__(self, split: TrafficSplit | ProviderError | None = ALONE) -> None:
        self.split = split

    async def current(self, ref: object, spec: object) -> TrafficSplit | None:
        if isinstance(self.split, ProviderError):
            raise self.split
        return self.split


def watching(
    source: FakeCounters | None = None, series: FakeSeries | None = None, router: Router | None = None
) -> RuleWatch:
    sources: Any = dict.fromkeys(("envoy", "prometheus", "http"), source or FakeCounters(DOWN))
    routers: Any = {"envoy": router or Router()}
    return RuleWatch(routers, sources, series or FakeSeries())


async def watched(rules: RuleSet, watch: RuleWatch, standing: RuleStanding | None = None) -> RulesWatched:
    asked = WatchRules(rules=rules, standing=standing or RuleStanding())
    return await asyncio.wait_for(ActivityEnvironment().run(watch.watch, asked), 20)


def quick(rule: AlertRule) -> AlertRule:
    return rule.model_copy(update={"interval": TICK})


def readings(errors_each: int, versions: Sequence[str] = ("v1",)) -> list[MetricSnapshot]:
    """Ten requests in each 20 ms of each version."""
    begins = datetime.now(UTC)
    return [
        MetricSnapshot(
            taken_at=begins + number * TICK,
            versions=dict.fromkeys(versions, Counters(requests=1000 + 10 * number, errors=errors_each * number)),
        )
        for number in range(1000)
    ]


async def test_the_services_own_error_rate_fires() -> None:
    rules = a_set(quick(a_rule("error_rate > 5% for 100ms")))

    found = await watched(rules, watching(FakeCounters(*readings(errors_each=2))))

    (change,) = found.changes
    assert change.status is AlertStatus.FIRED
    assert change.alert.value == pytest.approx(0.2)
    assert change.alert.figure == "error_rate"


async def test_what_was_counted_before_the_first_look_says_nothing() -> None:
    """A thousand requests failed long ago; none of those that come now do."""
    begins = datetime.now(UTC)
    old = [
        MetricSnapshot(taken_at=begins + number * TICK, versions={"v1": Counters(requests=1000 + number, errors=1000)})
        for number in range(1000)
    ]
    asked, watch = WatchRules(rules=a_set(quick(a_rule("error_rate > 5%")))), watching(FakeCounters(*old))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ActivityEnvironment().run(watch.watch, asked), 1)


async def test_all_versions_that_have_traffic_count() -> None:
    rules = a_set(quick(a_rule("request_rate > 900")))
    router = Router(TrafficSplit(stable="v1", candidate="v2", weight=50.0))

    found = await watched(rules, watching(FakeCounters(*readings(0, ("v1", "v2"))), router=router))

    assert found.changes[0].alert.value == pytest.approx(1000)


async def test_a_source_that_fails_fires_nothing_and_is_said() -> None:
    beats: list[RuleStanding] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    rules = a_set(quick(a_rule("error_rate > 5%")))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(environment.run(watching().watch, WatchRules(rules=rules)), 1)
    assert beats[-1].troubles["errors"].text == "Prometheus does not answer"
    assert beats[-1].troubles["errors"].since == beats[0].troubles["errors"].since


async def test_a_router_that_does_not_answer_clears_nothing_and_a_service_without_traffic_does() -> None:
    rules = a_set(quick(a_rule("error_rate > 5%")))
    firing = (await watched(rules, watching(FakeCounters(*readings(2))))).standing
    router = Router(ProviderError("Envoy does not answer", retryable=True))
    asked = WatchRules(rules=rules, standing=firing)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ActivityEnvironment().run(watching(router=router).watch, asked), 0.5)
    found = await watched(rules, watching(router=Router(None)), firing)
    assert [change.status for change in found.changes] == [AlertStatus.CLEARED]


async def test_an_expression_of_prometheus_fires_for_each_series() -> None:
    series = FakeSeries({"up == 0": [FoundSeries(labels={"instance": name}, value=0.0) for name in "ab"]})

    found = await watched(a_file_set(quick(a_promql_rule("up == 0"))), watching(series=series))

    assert sorted(change.alert.labels["instance"] for change in found.changes) == ["a", "b"]


async def test_one_query_that_is_refused_leaves_the_others_their_verdict() -> None:
    series = FakeSeries({"bad": DOWN, "up == 0": [FoundSeries(value=0.0)]})
    rules = a_file_set(quick(a_promql_rule("bad", name="bad")), quick(a_promql_rule("up == 0")))

    found = await watched(rules, watching(series=series))

    assert [change.alert.rule for change in found.changes] == ["down"]
    assert set(found.standing.troubles) == {"bad"}


PROMETHEUS = PrometheusMetrics(provider="prometheus", url="http://127.0.0.1:9090", requests="r", errors="e")
HTTP = HttpMetrics(provider="http", url="http://127.0.0.1:8000", requests="r", errors="e")


@pytest.mark.parametrize("metrics", [PROMETHEUS, HTTP])
async def test_a_query_that_names_the_version_is_asked_for_each(metrics: MetricsSpec) -> None:
    query = 'queue{version="{{version}}"}'
    filled = {f'queue{{version="{version}"}}': [FoundSeries(value=700.0)] for version in ("v1", "v2")}
    rules = a_set(quick(a_rule("query > 500", query=query)), metrics=metrics)
    router = Router(TrafficSplit(stable="v1", candidate="v2", weight=10.0))
    counters = FakeCounters(DOWN, number=700.0)

    found = await watched(rules, watching(counters, FakeSeries(filled), router))

    assert sorted(change.alert.labels["version"] for change in found.changes) == ["v1", "v2"]


async def test_a_worker_that_takes_over_goes_on_from_the_heartbeat() -> None:
    rules = a_set(a_rule("query > 500 for 1h", query="q", interval=TICK), metrics=HTTP)
    beats: list[RuleStanding] = []
    first = ActivityEnvironment()
    first.on_heartbeat = beats.append
    counters = FakeCounters(DOWN, number=700.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first.run(watching(counters).watch, WatchRules(rules=rules)), 0.5)
    (pending,) = beats[-1].alerts.values()
    second = ActivityEnvironment()
    earlier = pending.model_copy(update={"since": pending.since - timedelta(hours=2)})
    standing = beats[-1].model_copy(update={"alerts": {next(iter(beats[-1].alerts)): earlier}})
    second.info = type(second.info)(
        **{**vars(second.info), "heartbeat_details": [standing.model_dump(mode="json")], "attempt": 2}
    )

    found = await asyncio.wait_for(second.run(watching(counters).watch, WatchRules(rules=rules)), 10)

    assert [change.status for change in found.changes] == [AlertStatus.FIRED]


async def test_what_fires_is_in_no_heartbeat_before_it_is_returned() -> None:
    """A worker that dies in between would else leave an alert that fires, and that nobody was told of."""
    beats: list[RuleStanding] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    series = FakeSeries()
    numbers = count()

    async def series_of(address: object, query: str) -> tuple[FoundSeries, ...]:
        return (FoundSeries(value=0.0),) if next(numbers) >= 3 else ()

    series.series = series_of  # type: ignore[method-assign]
    rules = a_file_set(quick(a_promql_rule()))
    await asyncio.wait_for(environment.run(watching(series=series).watch, WatchRules(rules=rules)), 10)

    assert beats
    assert not any(beat.alerts for beat in beats)
