"""A canary whose weight is leased: real Envoy, real ledger, a keeper in this process or one of its own."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from analysis.leases import time_left
from models.ids import weight_lease
from models.keeper import Holder, LeaseKey, LeaseStanding
from models.keeper_ledger import Lease, ReturnTraffic
from models.quantities import HostPort
from models.traffic import TrafficSplit
from providers.envoy_admin import EnvoyAdmin
from providers.envoy_names import cluster_name, route_name
from providers.envoy_resources import FULL_WEIGHT
from providers.host_clock import host_time
from providers.lease_ledger import LeaseLedger
from tests.providers.envoy_harness import Envoy, Site, eventually

ROOT = Path(__file__).parents[2]


def a_holder(run: str = "run-1") -> Holder:
    return Holder(workflow_id="rollout/local/shop", run_id=run)


class KeeperProcess:
    """`python -m keeper`, as it runs on a host. It may be killed and started again."""

    def __init__(self, home: Path, admin: str, log: Path, env: Mapping[str, str] | None = None) -> None:
        own = {"HOLDFAST_HOME": str(home), "HOLDFAST_ENVOY_ADMIN": admin}
        self._environment = {**os.environ, **own, **(env or {})}
        self._ledger = LeaseLedger(home / "keeper")
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def spawn(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "keeper", cwd=ROOT, env=self._environment, stderr=log
            )

    async def start(self) -> None:
        self._process = await self.spawn()

        async def serves() -> bool:
            assert self._process
            assert self._process.returncode is None, self.log.read_text()
            return self._ledger.is_served()

        await eventually(serves, "the keeper serves its ledger", within=20)

    async def metrics(self) -> HostPort:
        """Where it shows them, as its log says."""
        await self.until_said("Keeper started")
        (line,) = [line for line in self.log.read_text().splitlines() if "Keeper started" in line]
        found: HostPort = json.loads(line)["metrics"]
        return found

    async def until_said(self, text: str) -> None:
        async def said() -> bool:
            return text in self.log.read_text()

        await eventually(said, f"the keeper says {text!r}", within=20)

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self._process
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await self._process.wait()


@asynccontextmanager
async def keeper_process(
    envoy: Envoy, home: Path, *, log: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[KeeperProcess]:
    process = KeeperProcess(home, envoy.admin, log or home / "keeper.log", env)
    await process.start()
    try:
        yield process
    finally:
        await process.end()


@dataclass
class Canary:
    """v2 with a weight beside v1. Nobody renews unless a test does."""

    site: Site
    ledger: LeaseLedger
    lease: Lease
    armed_at: float = 0.0

    async def begin(self, weight: float = 10.0) -> None:
        """Arm, then set the weight, as the activity does. `armed_at` is on the monotonic clock."""
        await self.ledger.arm(self.lease)
        self.armed_at = time.monotonic()
        await self.set_weight(weight)

    async def set_weight(self, weight: float) -> None:
        await self.site.split("v1", "v2", weight)

    async def renew(self) -> LeaseStanding:
        return await self.ledger.renew(self.lease.name())

    async def settle(self) -> LeaseStanding:
        return await self.ledger.settle(self.lease.name())

    async def current(self) -> TrafficSplit | None:
        return await self.site.envoy.router.current(self.site.ref, self.site.spec)

    async def until_recorded(self) -> LeaseStanding:
        """What the holder is told once the keeper has noted when the undo was in force."""

        async def recorded() -> bool:
            return (await self.renew()).carried_out_at is not None

        await eventually(recorded, "the keeper notes when it was carried out", within=10)
        return await self.renew()

    async def all_at_stable(self) -> bool:
        """As the users see it, who have to be many for the smallest weight."""
        answers = await self.site.send(100)
        return set(answers) == {"v1"}

    async def until_overdue(self) -> None:
        """Wait until the deadline that the ledger holds has passed."""

        async def overdue() -> bool:
            ((record,), _) = await self.ledger.entries()
            return not time_left(record.deadline, record.lease.duration, host_time())

        await eventually(overdue, "the deadline passes", within=10)

    async def until_returned(self, within: float) -> float:
        """Wait until Envoy works by routes that give all to stable; seconds from arming until then."""
        all_to_stable = {cluster_name(self.site.ref, "v1"): FULL_WEIGHT}
        admin = EnvoyAdmin(self.site.envoy.admin)

        async def returned() -> bool:
            routes = (await admin.in_force()).routes.get(route_name(self.site.ref))
            return routes is not None and routes.weights() == all_to_stable

        try:
            await eventually(returned, "traffic is back at v1", within)
        finally:
            await admin.aclose()
        return time.monotonic() - self.armed_at


async def a_canary(site: Site, home: Path, *, duration: float = 2.0, run: str = "run-1", epoch: int = 1) -> Canary:
    """v1 has all traffic; v2 runs and has none yet."""
    await site.start("v1")
    await site.start("v2")
    await site.split("v1")
    return Canary(site, LeaseLedger(home / "keeper"), a_lease_of(site, duration=duration, run=run, epoch=epoch))


def a_lease_of(site: Site, *, duration: float = 2.0, run: str = "run-1", epoch: int = 1) -> Lease:
    undo = ReturnTraffic(ref=site.ref, spec=site.spec, split=TrafficSplit(stable="v1"), backends=site.backends())
    name = LeaseKey(key=weight_lease(site.ref), holder=a_holder(run), epoch=epoch, duration=timedelta(seconds=duration))
    return Lease(key=name.key, holder=name.holder, epoch=name.epoch, duration=name.duration, undo=undo)
