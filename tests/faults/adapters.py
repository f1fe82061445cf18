"""Real adapters, slow and failing as planned."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

from models.counters import MetricSnapshot
from models.deployment import DeploySpec, Instance
from models.fence import Fence
from models.ids import ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.traffic import Backend, TrafficSpec, TrafficSplit
from providers.errors import ProviderError
from providers.roles import Deployer, MetricSource, Progress, TrafficRouter
from tests.faults.plan import FaultFolder
from workers.wiring import Adapters


class Weather:
    """What befalls a call. Its chances are drawn from the plan's seed, so that a run can be repeated."""

    def __init__(self, folder: FaultFolder) -> None:
        self._folder = folder
        self._chances: dict[str, Random] = {}

    @asynccontextmanager
    async def over(self, ref: ServiceRef, call: str) -> AsyncIterator[None]:
        faults = self._folder.of(ref.service)
        if call in faults.slow:
            self._folder.note(ref.service, call)
            await asyncio.sleep(faults.slow[call])
        chance = self._chances.setdefault(f"{ref} {call}", Random(f"{faults.seed} {call}"))  # noqa: S311 - no secret
        fails, late = chance.random() < faults.failing, chance.random() < 0.5
        if fails and not late:
            self._fail(ref, call)
        yield
        if fails:
            self._fail(ref, call)

    def _fail(self, ref: ServiceRef, call: str) -> None:
        self._folder.note(ref.service, call)
        raise ProviderError(f"the weather let {call} of {ref} fail", retryable=True)


class FaultyDeployer:
    def __init__(self, real: Deployer, weather: Weather) -> None:
        self._real = real
        self._weather = weather

    async def instances(self, ref: ServiceRef, spec: DeploySpec) -> tuple[Instance, ...]:
        async with self._weather.over(ref, "deploy.instances"):
            return await self._real.instances(ref, spec)

    async def start(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> tuple[Instance, ...]:
        async with self._weather.over(ref, "deploy.start"):
            return await self._real.start(ref, version, spec, progress, fence)

    async def scale(
        self,
        ref: ServiceRef,
        version: Version,
        spec: DeploySpec,
        instances: int,
        progress: Progress,
        fence: Fence | None = None,
    ) -> tuple[Instance, ...]:
        async with self._weather.over(ref, "deploy.scale"):
            return await self._real.scale(ref, version, spec, instances, progress, fence)

    async def stop(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> None:
        async with self._weather.over(ref, "deploy.stop"):
            await self._real.stop(ref, version, spec, progress, fence)


class FaultyRouter:
    def __init__(self, real: TrafficRouter, weather: Weather) -> None:
        self._real = real
        self._weather = weather

    async def current(self, ref: ServiceRef, spec: TrafficSpec) -> TrafficSplit | None:
        async with self._weather.over(ref, "traffic.current"):
            return await self._real.current(ref, spec)

    async def apply(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,
        split: TrafficSplit,
        backends: Sequence[Backend],
        fence: Fence | None = None,
    ) -> None:
        async with self._weather.over(ref, "traffic.apply"):
            await self._real.apply(ref, spec, split, backends, fence)

    async def give_back(
        self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]
    ) -> None:
        async with self._weather.over(ref, "traffic.give_back"):
            await self._real.give_back(ref, spec, split, backends)

    async def remove(self, ref: ServiceRef, spec: TrafficSpec) -> None:
        async with self._weather.over(ref, "traffic.remove"):
            await self._real.remove(ref, spec)


class FaultyMetrics:
    def __init__(self, real: MetricSource, weather: Weather) -> None:
        self._real = real
        self._weather = weather

    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Version]) -> MetricSnapshot:
        async with self._weather.over(ref, "metrics.snapshot"):
            return await self._real.snapshot(ref, spec, versions)

    async def measure(self, ref: ServiceRef, spec: MetricsSpec, query: str, version: Version) -> float | None:
        async with self._weather.over(ref, "metrics.measure"):
            return await self._real.measure(ref, spec, query, version)


class FaultyAdapters:
    """What a group's wiring asks `Adapters` for."""

    def __init__(self, real: Adapters, folder: FaultFolder) -> None:
        self._real = real
        self._weather = Weather(folder)

    @property
    def deployers(self) -> Mapping[str, Deployer]:
        return {name: FaultyDeployer(each, self._weather) for name, each in self._real.deployers.items()}

    @property
    def routers(self) -> Mapping[str, TrafficRouter]:
        return {name: FaultyRouter(each, self._weather) for name, each in self._real.routers.items()}

    @property
    def metric_sources(self) -> Mapping[str, MetricSource]:
        return {name: FaultyMetrics(each, self._weather) for name, each in self._real.metric_sources.items()}

    def __getattr__(self, name: str) -> object:
        """What no fault is made for."""
        return getattr(self._real, name)
