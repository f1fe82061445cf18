"""How much memory open rollouts take in the worker that decides about them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil

from benchmarks.memory_world import MemoryWorld
from benchmarks.rollouts_rate import PLANS, Stand, a_stand
from devstack.tether import tethered
from models.catalog import BlueGreenPlan
from models.judge_spec import JudgeSpec
from models.quantities import HostPort
from models.temporal_names import TaskQueue
from workers.groups import groups_named

AT_A_GATE = BlueGreenPlan(
    bake=timedelta(seconds=1),
    approval=True,
    # Sparse heartbeats, so that a thousand watches leave the machine to what is measured.
    judge=JudgeSpec(tick=timedelta(minutes=1), window=timedelta(minutes=1)),
)
PRODUCT_LIMIT = groups_named([TaskQueue.ROLLOUTS])[0].cached_workflows
WARM_UP = 20
_MEGABYTE = 1024 * 1024
_FLIGHT = 20
_PATIENCE_SECONDS = 600.0
_GRACE_SECONDS = 30
_SETTLE_SECONDS = 5.0


@dataclass(frozen=True)
class Memory:
    """Resident memory of the worker's process, in MB."""

    cached_limit: int
    open_rollouts: int
    before: float
    after: float

    @property
    def per_thousand(self) -> float:
        return (self.after - self.before) * 1000 / self.open_rollouts


async def measure_memory(address: HostPort, *, count: int, cached: int) -> Memory:
    """Open so many rollouts at a gate. `before` is after a few rollouts to their end, with everything loaded."""
    world = MemoryWorld()
    async with (
        a_stand(address, world, without=frozenset({TaskQueue.ROLLOUTS}), watches=count + _FLIGHT) as stand,
        _worker(address, cached) as worker,
    ):
        await stand.rollouts(await stand.guarded(PLANS["canary"], WARM_UP, WARM_UP), WARM_UP)
        before = await _settled(worker)
        await _open(stand, world, count)
        after = await _settled(worker)
    return Memory(cached_limit=cached, open_rollouts=count, before=before, after=after)


async def _open(stand: Stand, world: MemoryWorld, count: int) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for begun in range(0, count, _FLIGHT):
            reached = min(begun + _FLIGHT, count)
            await asyncio.gather(*(stand.start(AT_A_GATE) for _ in range(reached - begun)))
            await world.until_watched(reached)


async def _settled(worker: psutil.Process) -> float:
    """The memory once it has not grown for a while."""
    most, since = 0.0, time.monotonic()
    while time.monotonic() - since < _SETTLE_SECONDS:
        now = worker.memory_info().rss / _MEGABYTE
        if now > most + 0.1:
            most, since = now, time.monotonic()
        await asyncio.sleep(0.2)
    return worker.memory_info().rss / _MEGABYTE


@asynccontextmanager
async def _worker(address: HostPort, cached: int) -> AsyncIterator[psutil.Process]:
    command = tethered([sys.executable, "-m", "benchmarks.rollouts_worker", address, str(cached)])
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"working\n", "the rollouts' worker did not begin"
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
