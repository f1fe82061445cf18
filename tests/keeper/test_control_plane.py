"""A watch renews through a real worker, and only as long as a real Temporal wants it to."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from activities.traffic import TrafficActivities
from analysis.leases import time_left
from devstack.temporal_server import temporal_child, wait_until_serving
from models.judge_spec import EnvoyMetrics, JudgeSpec
from models.judgement import Verdict, Watch
from models.keeper import LEASE_LAPSED
from models.keeper_ledger import LeaseRecord
from providers.host_clock import host_time
from providers.host_ports import free_ports
from providers.lease_ledger import LeaseLedger
from runtime.client import connect
from runtime.settings import Settings
from tests.activities.fake_evidence_log import FakeEvidenceLog
from tests.activities.test_leases import Source
from tests.factories import SHOP, WHEN
from tests.keeper.watching_workflow import Watches
from tests.providers.envoy_harness import eventually
from tests.providers.test_lease_ledger import a_lease

LEASE = timedelta(seconds=3)


@dataclass
class Plane:
    """A Temporal server, a worker of it, and the ledger that this worker renews in; nobody else keeps that."""

    server: asyncio.subprocess.Process
    client: Client
    ledger: LeaseLedger

    async def watch(self) -> WorkflowHandle[Watches, Verdict]:
        """A watch without end under a lease, and renewed once."""
        lease = a_lease().model_copy(update={"duration": LEASE})
        await self.ledger.arm(lease)
        before = (await self.record()).deadline
        judge = JudgeSpec(tick=timedelta(milliseconds=200))
        watch = Watch(
            ref=SHOP, metrics=EnvoyMetrics(), judge=judge, stable="v1", candidate="v2", bake=None, lease=lease.name()
        )
        handle = await self.client.start_workflow(Watches.run, watch, id="watches", task_queue="watching")

        async def renewed() -> bool:
            return (await self.record()).deadline.seconds > before.seconds + 1

        await eventually(renewed, "the watch renews", within=20)
        return handle

    async def record(self) -> LeaseRecord:
        ((record,), _) = await self.ledger.entries()
        return record

    async def is_overdue(self) -> bool:
        record = await self.record()
        return not time_left(record.deadline, record.lease.duration, host_time())


@pytest.fixture
async def plane(tmp_path: Path, temporal_cli: Path) -> AsyncIterator[Plane]:
    port, ui_port = free_ports(2)
    command = temporal_child(temporal_cli, home=tmp_path, port=port, ui_port=ui_port).command
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await wait_until_serving(f"127.0.0.1:{port}")
        client = await connect(Settings(home=tmp_path, temporal_address=f"127.0.0.1:{port}"))
        ledger = LeaseLedger(tmp_path / "keeper")
        activities = TrafficActivities({}, {"envoy": Source()}, {}, ledger, FakeEvidenceLog()).registered
        worker = Worker(client, task_queue="watching", workflows=[Watches], activities=activities)
        with ledger.serving():
            working = asyncio.create_task(worker.run())
            yield Plane(server, client, ledger)
            await end(server)
            stopping = asyncio.create_task(worker.shutdown())
            await asyncio.wait({working, stopping}, timeout=60)
    finally:
        await end(server)


async def end(server: asyncio.subprocess.Process) -> None:
    if server.returncode is None:
        server.kill()
        await server.wait()


async def test_the_lease_is_held_while_temporal_lives(plane: Plane) -> None:
    await plane.watch()
    first = (await plane.record()).deadline.seconds

    async def two_leases_later() -> bool:
        assert not await plane.is_overdue()
        return (await plane.record()).deadline.seconds > first + 2 * LEASE.total_seconds()

    await eventually(two_leases_later, "two leases pass", within=30)


@pytest.mark.parametrize(
    "death",
    [pytest.param(signal.SIGKILL, id="killed", marks=pytest.mark.full), pytest.param(signal.SIGSTOP, id="hanging")],
)
async def test_the_lease_lapses_when_temporal_is_gone_though_the_worker_lives(
    plane: Plane, death: signal.Signals
) -> None:
    await plane.watch()
    plane.server.send_signal(death)

    await eventually(plane.is_overdue, "the lease lapses", within=LEASE.total_seconds() + 2.5)


@pytest.mark.full
async def test_the_lease_lapses_when_its_workflow_was_terminated(plane: Plane) -> None:
    handle = await plane.watch()
    await handle.terminate("by hand")

    await eventually(plane.is_overdue, "the lease lapses", within=LEASE.total_seconds() + 1)


async def test_the_workflow_learns_that_its_lease_was_carried_out_and_when(plane: Plane) -> None:
    handle = await plane.watch()
    async with plane.ledger.acting(a_lease().key) as record:
        assert record
        await plane.ledger.write(record.model_copy(update={"lapsed_at": WHEN, "carried_out_at": WHEN}))

    with pytest.raises(WorkflowFailureError) as failure:
        await asyncio.wait_for(handle.result(), 20)

    assert isinstance(failure.value.cause, ActivityError)
    cause = failure.value.cause.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (LEASE_LAPSED, True)
    assert "is undone since 00:00:00 UTC" in str(cause)
