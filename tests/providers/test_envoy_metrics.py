"""EnvoyMetrics against a real Envoy: counted exactly what users met."""

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import accumulate

import httpx
import pytest

from models.counters import Counters, LatencyHistogram
from models.judge_spec import EnvoyMetrics
from models.traffic import TrafficSplit
from providers import envoy_metrics
from providers.envoy_files import LATENCY_BOUNDS_MS
from providers.errors import ProviderError
from tests.providers.envoy_harness import (
    SHOP,
    Envoy,
    Mood,
    Site,
    Upstream,
    eventually,
    free_address,
    running_site,
)


@pytest.fixture
async def site(envoy: Envoy) -> AsyncIterator[Site]:
    async with running_site(envoy, timeout=0.3) as site:
        yield site


async def read(site: Site, *versions: str) -> dict[str, Counters]:
    return (await site.envoy.metrics.snapshot(site.ref, EnvoyMetrics(), versions)).versions


async def read_one(site: Site, version: str, requests: int) -> Counters:
    """The counters once `requests` answers are counted and in the histogram, which Envoy updates twice a second."""

    async def settled() -> bool:
        found = (await read(site, version))[version]
        assert found.errors <= found.requests <= requests
        return found.requests == sum(found.latency.counts) == requests

    await eventually(settled, f"{requests} requests counted for {version}")
    return (await read(site, version))[version]


async def test_counts_each_versions_requests_and_errors(site: Site) -> None:
    await site.start("v1.0")
    bad = await site.start("v1_0")
    bad.status = 503
    await site.split("v1.0")
    await site.send(30)
    await site.split("v1.0", "v1_0", 100.0)
    await site.send(12)

    found = await read(site, "v1.0", "v1_0")

    assert (found["v1.0"].requests, found["v1.0"].errors) == (30, 0)
    assert (found["v1_0"].requests, found["v1_0"].errors) == (12, 12)


async def test_a_baseline_is_counted_apart_from_its_version_and_answers_in_its_name(site: Site) -> None:
    (await site.start("v1~baseline")).status = 503
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 50.0, 50.0)
    answers = await site.send(100)
    found = await read(site, "v1", "v1~baseline", "v2")

    assert {"v1 503", "v2"} <= set(answers) <= {"v1 503", "v1 504", "v2"}, "on a busy machine one may come late"
    failed = answers["v1 503"] + answers["v1 504"]
    assert found["v1"].requests == 0
    assert found["v1~baseline"].errors == found["v1~baseline"].requests == failed
    assert found["v2"].requests == answers["v2"]


async def test_what_is_not_a_server_error_is_no_error(site: Site) -> None:
    (await site.start("v1")).status = 404
    await site.split("v1")
    assert await site.send(5) == {"v1 404": 5}

    found = await read_one(site, "v1", 5)

    assert (found.requests, found.errors) == (5, 0)


@pytest.mark.parametrize(("failure", "status"), [("dead", 503), ("reset", 503), ("hang", 504)])
async def test_a_version_that_does_not_answer_fails_every_request(site: Site, failure: str, status: int) -> None:
    upstream = await site.start("v1")
    await site.split("v1")
    if failure == "dead":
        await upstream.stop()
    else:
        upstream.mood = Mood(failure)

    assert await site.send(10) == {f"v1 {status}": 10}

    found = (await read(site, "v1"))["v1"]
    assert (found.requests, found.errors) == (10, 10)


async def test_a_request_that_a_second_instance_took_over_counts_once(site: Site) -> None:
    dead = await site.start("v1")
    await site.start("v1")
    await site.split("v1")
    await dead.stop()

    assert await site.send(20) == {"v1": 20}

    found = await read_one(site, "v1", 20)
    assert (found.requests, found.errors) == (20, 0)


async def test_a_caller_that_goes_away_is_not_counted(site: Site) -> None:
    upstream = await site.start("v1")
    upstream.delay = 0.2
    await site.split("v1")

    with pytest.raises(httpx.ReadTimeout):
        await site.http.get("/", timeout=0.05)
    assert await site.send(1) == {"v1": 1}

    assert (await read(site, "v1"))["v1"].requests == 1


async def test_a_version_without_traffic_has_no_counts_and_an_unknown_one_is_absent(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 0.0)
    await site.send(3)

    found = await read(site, "v1", "v2", "v3")

    assert set(found) == {"v1", "v2"}
    assert (found["v2"].requests, found["v2"].errors, sum(found["v2"].latency.counts)) == (0, 0, 0)
    assert await read(site) == {}


async def test_latency_lies_in_the_bucket_of_the_response_time(site: Site) -> None:
    (await site.start("v1")).delay = 0.05
    await site.split("v1")
    await site.send(20, at_once=2)

    latency = (await read_one(site, "v1", 20)).latency

    assert latency.bounds_ms == LATENCY_BOUNDS_MS
    assert len(latency.counts) == len(latency.bounds_ms) + 1
    assert sum(latency.counts) == 20
    lower, upper = median_bucket(latency)
    assert lower >= 40
    assert upper <= 75


def median_bucket(latency: LatencyHistogram) -> tuple[float, float]:
    """Its bounds in milliseconds."""
    bounds = (0.0, *latency.bounds_ms, math.inf)
    so_far = list(accumulate(latency.counts))
    index = next(index for index, seen in enumerate(so_far) if seen * 2 >= so_far[-1])
    return bounds[index], bounds[index + 1]


async def test_counts_go_on_when_weights_and_addresses_change(site: Site) -> None:
    await site.start("v1")
    await site.start("v2")
    await site.split("v1", "v2", 100.0)
    await site.send(10)
    await site.split("v1", "v2", 0.0)
    await site.start("v2")
    await site.split("v1", "v2", 100.0)
    await site.send(10)

    found = await read_one(site, "v2", 20)

    assert sum(found.latency.counts) == 20
    assert all(upstream.served for upstream in site.upstreams["v2"])


async def test_counts_begin_anew_with_another_envoy(site: Site) -> None:
    await site.start("v1")
    await site.split("v1")
    await site.send(10)
    site.envoy.kill()
    await site.envoy.start()
    await site.send(2)

    assert (await read(site, "v1"))["v1"].requests == 2


async def test_another_environments_service_is_not_mixed_in(site: Site, envoy: Envoy) -> None:
    async with running_site(envoy, SHOP.model_copy(update={"environment": "test"})) as other:
        for each in (site, other):
            await each.start("v1")
            await each.split("v1")
        await site.send(3)
        await other.send(4)

        assert (await read(site, "v1"))["v1"].requests == 3
        assert (await read(other, "v1"))["v1"].requests == 4


async def test_no_envoy_is_worth_another_try() -> None:
    metrics = envoy_metrics.EnvoyMetrics(free_address())

    with pytest.raises(ProviderError, match=r"does not answer.*holdfast up") as failure:
        await metrics.snapshot(SHOP, EnvoyMetrics(), ["v1"])

    assert failure.value.retryable
    await metrics.aclose()


async def test_another_program_on_the_admin_port_is_worth_another_try() -> None:
    stranger = await Upstream("not envoy").start()
    metrics = envoy_metrics.EnvoyMetrics(stranger.address)

    with pytest.raises(ProviderError, match="does not speak like Envoy") as failure:
        await metrics.snapshot(SHOP, EnvoyMetrics(), ["v1"])

    assert failure.value.retryable
    await metrics.aclose()
    await stranger.stop()


async def test_snapshots_can_be_taken_at_once(site: Site) -> None:
    await site.start("v1")
    await site.envoy.router.apply(site.ref, site.spec, TrafficSplit(stable="v1"), site.backends())
    await site.send(5)

    found = await asyncio.gather(*(read(site, "v1") for _ in range(5)))

    assert [each["v1"].requests for each in found] == [5] * 5


async def test_envoy_cannot_be_asked_queries() -> None:
    metrics = envoy_metrics.EnvoyMetrics(free_address())

    with pytest.raises(ProviderError, match="Envoy has no query language") as failure:
        await metrics.measure(SHOP, EnvoyMetrics(), "up", "v1")

    assert not failure.value.retryable
    await metrics.aclose()
