"""A world in memory behind the activities' real names: what a rollout does to it is what the tests look at."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, NoReturn

from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.audit import AuditEntry
from models.deployment import Done, Instances, ListInstances, ScaleVersion, StartVersion, StopVersion
from models.judgement import Verdict, Watch
from models.keeper import LEASE_LAPSED
from models.record import ToRecord
from models.traffic import CurrentTraffic, ReadTraffic, RemoveTraffic, SetTraffic, TrafficSet, TrafficSplit
from tests.factories import an_instance, healthy


class FakeWorld:
    """`effects` lists every change in order. A watch gives the next of `verdicts` (healthy when there is none);
    a watch without a bake gives the next of `held_verdicts`, or goes on until it is cancelled.
    """

    def __init__(self, *, stable: str | None = "v1") -> None:
        self.alive: dict[str, int] = {stable: 2} if stable else {}
        self.split: TrafficSplit | None = TrafficSplit(stable=stable) if stable else None
        self.backends: dict[str, tuple[str, ...]] = {}
        self.effects: list[str] = []
        self.verdicts: deque[Verdict] = deque()
        self.held_verdicts: deque[Verdict] = deque()
        self.endless: set[str] = set()
        self.lapsed_before: dict[str, str] = {}
        self.failures: dict[str, deque[ApplicationError]] = defaultdict(deque)
        self.watching = asyncio.Event()
        self.starting = asyncio.Event()
        self.stuck = asyncio.Event()
        self.watches: list[Watch] = []
        self.applied: list[SetTraffic] = []
        self.recorded: list[ToRecord] = []

    def fail(self, effect: str, message: str, *, times: int = 1, retryable: bool = False) -> None:
        self.failures[effect].extend(
            ApplicationError(message, type="ProviderError", non_retryable=not retryable) for _ in range(times)
        )

    def lapse(self, effect: str, *, times: int = 1) -> None:
        """The lease is found lapsed: the keeper has returned the traffic to the stable version."""
        said = "weight/local/shop was not renewed for 30 s: what it was for is undone since 12:03:10 UTC"
        self.failures[effect].extend(
            ApplicationError(said, type=LEASE_LAPSED, non_retryable=True) for _ in range(times)
        )

    def _may_fail(self, effect: str) -> None:
        if self.failures[effect]:
            raise self.failures[effect].popleft()

    async def current(self, asked: ReadTraffic) -> CurrentTraffic:
        self._may_fail("current")
        await self._may_hang("current")
        return CurrentTraffic(split=self.split)

    async def apply(self, asked: SetTraffic) -> TrafficSet:
        self.applied.append(asked)
        shares = " ".join(f"{version}={share:g}" for version, share in asked.split.weights().items())
        self._may_fail(f"traffic {shares}")
        await self._may_hang(f"traffic {shares}")
        assert {backend.version for backend in asked.backends} == set(asked.split.weights())
        self.split = asked.split
        self.backends = {backend.version: backend.addresses for backend in asked.backends}
        self.effects.append(f"traffic {shares}")
        return TrafficSet(lapsed_before=self.lapsed_before.pop(f"traffic {shares}", ""))

    async def remove(self, asked: RemoveTraffic) -> Done:
        self.split = None
        self.effects.append("traffic removed")
        return Done()

    async def watch(self, watch: Watch) -> Verdict:
        self.watches.append(watch)
        self._may_fail("watch")
        if watch.bake is not None and "watch" not in self.endless:
            return self.verdicts.popleft() if self.verdicts else healthy()
        if watch.bake is None and self.held_verdicts:
            return self.held_verdicts.popleft()
        self.watching.set()
        try:
            await self._until_cancelled()
        finally:
            self.watching.clear()

    async def instances(self, asked: ListInstances) -> Instances:
        return self._instances()

    async def start(self, asked: StartVersion) -> Instances:
        self._may_fail(f"start {asked.version}")
        await self._may_hang(f"start {asked.spec.instances} of {asked.version}")
        self.effects.append(f"start {asked.version}")
        self.alive[asked.version] = asked.spec.instances
        if "start" in self.endless:
            self.starting.set()
            await self._until_cancelled()
        return Instances(instances=self._instances().of(asked.version))

    async def scale(self, asked: ScaleVersion) -> Instances:
        self._may_fail(f"scale {asked.version} to {asked.instances}")
        await self._may_hang(f"scale {asked.version} to {asked.instances}")
        if self.split and self.split.weights().get(asked.version):
            assert len(self.backends.get(asked.version, ())) <= asked.instances, "what ends still has traffic"
        self.effects.append(f"scale {asked.version} to {asked.instances}")
        self.alive[asked.version] = asked.instances
        return Instances(instances=self._instances().of(asked.version))

    async def write(self, entries: ToRecord) -> Done:
        await self._may_hang("records")
        self.recorded.append(entries)
        return Done()

    async def stop(self, asked: StopVersion) -> Done:
        self._may_fail(f"stop {asked.version}")
        await self._may_hang(f"stop {asked.version}")
        self.alive.pop(asked.version, None)
        self.effects.append(f"stop {asked.version}")
        return Done()

    def _instances(self) -> Instances:
        return Instances(
            instances=tuple(
                an_instance(version, slot) for version in sorted(self.alive) for slot in range(self.alive[version])
            )
        )

    async def _may_hang(self, effect: str) -> None:
        """What is in `endless` takes until it is cancelled or taken out of there."""
        while effect in self.endless:
            self.stuck.set()
            activity.heartbeat()
            await asyncio.sleep(0.05)

    @staticmethod
    async def _until_cancelled() -> NoReturn:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.05)


class Worlds:
    """Every test's world, by the service that is rolled out in it, so that one worker serves all tests."""

    def __init__(self) -> None:
        self.by_service: dict[str, FakeWorld] = {}
        self.orders: list[AuditEntry] = []

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [
            self.current,
            self.apply,
            self.remove,
            self.watch,
            self.instances,
            self.start,
            self.scale,
            self.stop,
            self.write,
        ]

    @activity.defn(name="traffic.current")
    async def current(self, asked: ReadTraffic) -> CurrentTraffic:
        return await self.by_service[asked.ref.service].current(asked)

    @activity.defn(name="traffic.apply")
    async def apply(self, asked: SetTraffic) -> TrafficSet:
        return await self.by_service[asked.ref.service].apply(asked)

    @activity.defn(name="traffic.remove")
    async def remove(self, asked: RemoveTraffic) -> Done:
        return await self.by_service[asked.ref.service].remove(asked)

    @activity.defn(name="traffic.watch")
    async def watch(self, watch: Watch) -> Verdict:
        return await self.by_service[watch.ref.service].watch(watch)

    @activity.defn(name="deploy.instances")
    async def instances(self, asked: ListInstances) -> Instances:
        return await self.by_service[asked.ref.service].instances(asked)

    @activity.defn(name="deploy.start")
    async def start(self, asked: StartVersion) -> Instances:
        return await self.by_service[asked.ref.service].start(asked)

    @activity.defn(name="deploy.scale")
    async def scale(self, asked: ScaleVersion) -> Instances:
        return await self.by_service[asked.ref.service].scale(asked)

    @activity.defn(name="deploy.stop")
    async def stop(self, asked: StopVersion) -> Done:
        return await self.by_service[asked.ref.service].stop(asked)

    @activity.defn(name="records.write")
    async def write(self, entries: ToRecord) -> Done:
        if entries.incident:
            return Done()
        ref = entries.rollout.ref if entries.rollout else entries.audit[0].ref
        if ref.service not in self.by_service:  # a guard's, of a service that is not rolled out
            self.orders.extend(entries.audit)
            return Done()
        return await self.by_service[ref.service].write(entries)
