"""A world in memory in which everything happens at once, behind the product's own activities."""
# ruff: noqa: ARG002 - a role's methods take what real adapters need

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.deploys import DeployActivities
from activities.leases import LeaseActivities
from activities.records import RecordActivities
from activities.traffic import TrafficActivities
from models.counters import MetricSnapshot
from models.deployment import DeploySpec, Instance
from models.evidence_trail import RolloutKey, TrailSample
from models.fence import Fence
from models.ids import ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.judgement import Outcome, Verdict, Watch
from models.keeper import LeaseKey, LeaseStanding, LeaseState
from models.keeper_ledger import Lease
from models.record import ToRecord
from models.temporal_names import TaskQueue
from models.traffic import Backend, TrafficSpec, TrafficSplit
from providers.roles import Progress
from workers.groups import GROUPS, Activities, Group

STABLE, CANDIDATE = "v1", "v2"
HEARTBEAT = timedelta(seconds=30)
_HEALTHY = Verdict(outcome=Outcome.HEALTHY, reason="every rule held over 100 requests", requests=100)
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class _Site:
    """One service: what runs of it, and who has its traffic."""

    alive: dict[Version, int] = field(default_factory=lambda: {STABLE: 2})
    split: TrafficSplit | None = field(default_factory=lambda: TrafficSplit(stable=STABLE))
    recorded: asyncio.Event = field(default_factory=asyncio.Event)


class Watches:
    """How many go on now."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        async with self._changed:
            self._count += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            self._count -= 1

    async def until(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._count >= count)


class MemoryWorld:
    """Every service has two instances of v1. Fills the roles of deployer, router, metrics, keeper and recorder."""

    def __init__(self) -> None:
        self._sites: defaultdict[ServiceRef, _Site] = defaultdict(_Site)
        self._watches = Watches()

    async def until_watched(self, count: int) -> None:
        """Wait until so many rollouts wait at a gate."""
        await self._watches.until(count)

    async def until_recorded(self, ref: ServiceRef) -> None:
        """Wait until the last picture of this service's rollout is written."""
        await self._sites[ref].recorded.wait()

    def groups(self) -> dict[str, Group]:
        """The product's own groups, by queue, with activities that act on this world."""
        traffic = _AtOnce({"envoy": self}, {"envoy": self}, self, self._watches)
        here: dict[str, Activities] = {
            TaskQueue.DEPLOYS: DeployActivities({"process": self}).registered,
            TaskQueue.TRAFFIC: [*traffic.registered, *LeaseActivities(self).registered],
            TaskQueue.RECORDS: RecordActivities(self).registered,
        }
        return {group.queue: _with(group, here.get(group.queue)) for group in GROUPS}

    async def instances(self, ref: ServiceRef, spec: DeploySpec) -> tuple[Instance, ...]:
        return tuple(
            _instance(version, slot)
            for version, count in sorted(self._sites[ref].alive.items())
            for slot in range(count)
        )

    async def start(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> tuple[Instance, ...]:
        return await self.scale(ref, version, spec, spec.instances, progress)

    async def scale(
        self,
        ref: ServiceRef,
        version: Version,
        spec: DeploySpec,
        instances: int,
        progress: Progress,
        fence: Fence | None = None,
    ) -> tuple[Instance, ...]:
        self._sites[ref].alive[version] = instances
        return tuple(_instance(version, slot) for slot in range(instances))

    async def stop(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> None:
        self._sites[ref].alive.pop(version, None)

    async def current(self, ref: ServiceRef, spec: TrafficSpec) -> TrafficSplit | None:
        return self._sites[ref].split

    async def apply(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,
        split: TrafficSplit,
        backends: Sequence[Backend],
        fence: Fence | None = None,
    ) -> None:
        self._sites[ref].split = split

    async def give_back(
        self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]
    ) -> None:
        await self.apply(ref, spec, split, backends)

    async def remove(self, ref: ServiceRef, spec: TrafficSpec) -> None:
        self._sites[ref].split = None

    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Version]) -> MetricSnapshot:
        return MetricSnapshot(taken_at=datetime.now(UTC))

    async def measure(self, ref: ServiceRef, spec: MetricsSpec, query: str, version: Version) -> float | None:
        return None

    def add(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        """Nothing is watched long enough to be drawn."""

    async def arm(self, lease: Lease, *, take_over: bool = False) -> LeaseStanding:
        return LeaseStanding(state=LeaseState.HELD)

    async def renew(self, lease: LeaseKey) -> LeaseStanding:
        return LeaseStanding(state=LeaseState.HELD)

    async def settle(self, lease: LeaseKey) -> LeaseStanding:
        return LeaseStanding(state=LeaseState.GONE)

    async def write(self, entries: ToRecord) -> None:
        if entries.rollout and entries.rollout.ended_at:
            self._sites[entries.rollout.ref].recorded.set()


class _AtOnce(TrafficActivities):
    """The real watch reads the metrics twice, a tick of 100 ms or more apart. This one knows its verdict already."""

    def __init__(
        self,
        routers: dict[str, MemoryWorld],
        metric_sources: dict[str, MemoryWorld],
        keeper: MemoryWorld,
        watches: Watches,
    ) -> None:
        super().__init__(routers, metric_sources, {}, keeper, keeper)
        self._watches = watches

    @activity.defn(name="traffic.watch")
    async def watch(self, watch: Watch) -> Verdict:
        """Healthy at once; at a gate, for ever."""
        if watch.bake is not None:
            return _HEALTHY
        async with self._watches.one():
            while True:
                activity.heartbeat()
                await asyncio.sleep(HEARTBEAT.total_seconds())


def _with(group: Group, activities: Activities | None) -> Group:
    return group if activities is None else replace(group, activities=lambda _: activities)


def _instance(version: Version, slot: int) -> Instance:
    port = 20_000 + slot
    name = f"{version}-{slot}"
    return Instance(
        name=name, version=version, address=f"127.0.0.1:{port}", pid=port, started_at=_SINCE, log=f"{name}.log"
    )
