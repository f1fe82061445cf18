"""PrometheusMetrics against a real Prometheus that scrapes a real Envoy: the same increases as Envoy itself tells."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.metrics import increase_of, merged
from models.counters import Counters, MetricSnapshot
from models.judge_spec import EnvoyMetrics
from models.metric_sources import PrometheusMetrics
from providers import prometheus_metrics
from providers.errors import ProviderError
from runtime.secrets import resolve_secrets
from tests.providers.envoy_harness import SHOP, Site, eventually, running_envoy, running_site
from tests.providers.prometheus_harness import running_prometheus

CLUSTER = 'envoy_cluster_name="{{env}}__{{service}}__{{version}}"'
VERSIONS = ("v1", "v2")


@dataclass
class World:
    """An Envoy, a site behind it and a Prometheus that scrapes it; what both tell, reading after reading."""

    site: Site
    source: prometheus_metrics.PrometheusMetrics
    spec: PrometheusMetrics
    by_envoy: MetricSnapshot | None = None
    by_prometheus: MetricSnapshot | None = None

    async def read(self) -> tuple[MetricSnapshot, MetricSnapshot]:
        """What both tell once it is the same."""
        found: list[MetricSnapshot] = []

        async def alike() -> bool:
            one = await self.site.envoy.metrics.snapshot(SHOP, EnvoyMetrics(), VERSIONS)
            other = await self.source.snapshot(SHOP, self.spec, VERSIONS)
            settled = all(sum(each.latency.counts) == each.requests for each in one.versions.values())
            found[:] = [one, other]
            return settled and len(one.versions) == len(VERSIONS) and one.versions == other.versions

        await eventually(alike, "Prometheus tells what Envoy does", within=30)
        return found[0], found[1]

    async def increases(self) -> dict[str, Counters]:
        """Since the reading before, by Prometheus; the same as by Envoy."""
        one, other = await self.read()
        assert self.by_envoy
        assert self.by_prometheus
        by_envoy = {version: increase_of(version, self.by_envoy, one) for version in VERSIONS}
        by_prometheus = {version: increase_of(version, self.by_prometheus, other) for version in VERSIONS}
        self.by_envoy, self.by_prometheus = merged(self.by_envoy, one), merged(self.by_prometheus, other)
        assert by_prometheus == by_envoy
        return by_prometheus


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    source = prometheus_metrics.PrometheusMetrics(lambda text: resolve_secrets(text, {}))
    async with (
        running_envoy(tmp_path / "envoy") as envoy,
        running_site(envoy) as site,
        running_prometheus(tmp_path / "prometheus", {envoy.admin: "/stats/prometheus"}) as url,
    ):
        spec = PrometheusMetrics(
            provider="prometheus",
            url=url,
            requests=f"envoy_cluster_upstream_rq_completed{{{CLUSTER}}}",
            errors=f'envoy_cluster_upstream_rq_xx{{{CLUSTER},envoy_response_code_class="5"}}',
            latency=f"envoy_cluster_upstream_rq_time_bucket{{{CLUSTER}}}",
            latency_unit="milliseconds",
        )
        await serve(site)
        world = World(site, source, spec)
        world.by_envoy, world.by_prometheus = await world.read()
        yield world
        await source.aclose()


async def serve(site: Site) -> None:
    await site.start("v1")
    (await site.start("v2")).status = 503
    await site.split("v1", "v2", 50.0)
    await send(site, 20)


async def send(site: Site, count: int) -> None:
    """To each version."""
    for version in VERSIONS:
        await site.split("v1", "v2", 100.0 if version == "v2" else 0.0)
        await site.send(count)


async def test_increases_are_those_that_envoy_tells(world: World) -> None:
    await send(world.site, 30)

    found = await world.increases()

    assert (found["v1"].requests, found["v1"].errors, sum(found["v1"].latency.counts)) == (30, 0, 30)
    assert (found["v2"].requests, found["v2"].errors, sum(found["v2"].latency.counts)) == (30, 30, 30)
    assert world.by_prometheus
    assert not world.by_prometheus.left_out


async def test_increases_go_on_when_what_is_scraped_restarts(world: World) -> None:
    world.site.envoy.kill()
    await eventually(lambda: nothing_known(world), "Prometheus knows that its target has gone", within=30)
    await world.site.envoy.start()
    await send(world.site, 7)

    found = await world.increases()
    assert (found["v1"].requests, found["v2"].errors) == (7, 7)

    await send(world.site, 5)

    found = await world.increases()
    assert (found["v1"].requests, found["v2"].errors) == (5, 5)


async def nothing_known(world: World) -> bool:
    """As a watch reads meanwhile, and keeps what it knew."""
    found = await world.source.snapshot(SHOP, world.spec, VERSIONS)
    world.by_prometheus = merged(world.by_prometheus, found)
    return not found.versions


async def test_queries_find_numbers(world: World) -> None:
    async def ask(query: str, version: str = "v2") -> float | None:
        return await world.source.measure(SHOP, world.spec, query, version)

    cluster = CLUSTER.replace("=", "=~")
    assert await ask(f"envoy_cluster_upstream_rq_completed{{{cluster}}}") == await ask(f"sum({world.spec.errors})")
    assert await ask(f"{world.spec.errors} / ignoring(envoy_response_code_class) {world.spec.requests}") == 1.0
    assert await ask(world.spec.requests, "v9") is None
    assert await ask("0 / 0") is None
    with pytest.raises(ProviderError, match=r"finds \d+ series by envoy_cluster_upstream_rq_completed"):
        await ask("envoy_cluster_upstream_rq_completed or up")
    with pytest.raises(ProviderError, match=r"refuses the query summ\(up\): .*unknown function"):
        await ask("summ(up)")
    with pytest.raises(ProviderError, match="finds a matrix"):
        await ask("up[1m]")
