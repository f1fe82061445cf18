"""Encryption between real workers and a real Temporal."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime.client import connect
from runtime.codec import KeyMissingError, is_encrypted
from runtime.converter import WorkerLacksKeyError
from runtime.keyring import new_entry
from runtime.settings import Settings
from tests.runtime.secret_work import Secret, SecretKeeper, keep, spill
from tests.workers.dev_server import running_temporal
from tests.workers.eventually import eventually
from workers.groups import Group
from workers.run import WorkerFailedError, run_workers

OLD, NEW = new_entry(date(2026, 1, 1)), new_entry(date(2026, 2, 2))
NEW_ID = NEW.partition(":")[0]

STORED = (
    "by signal", "in a memo", "in a summary", "in details", "failed", "as a cause", "on a timer",
)  # fmt: skip
"""How the workflow says its secret where Temporal keeps it."""

Handle = WorkflowHandle[SecretKeeper, Secret]


def holding(temporal: HostPort, keys: Sequence[str]) -> Settings:
    return Settings(temporal_address=temporal, encryption_keys=SecretStr(",".join(keys)) if keys else None)


async def client(temporal: HostPort, *keys: str) -> Client:
    return await connect(holding(temporal, keys))


def deciding(by: Client, queue: str) -> Worker:
    return Worker(
        by, task_queue=queue, workflows=[SecretKeeper], sticky_queue_schedule_to_start_timeout=timedelta(seconds=1)
    )


def acting(by: Client, queue: str) -> Worker:
    return Worker(by, task_queue=queue, activities=[keep, spill])


async def start(by: Client, queue: str, secret: str, *, stays: bool = False) -> Handle:
    return await by.start_workflow(
        SecretKeeper.run,
        Secret(text=secret, stays=stays),
        id=queue,
        task_queue=queue,
        memo={"first": f"{secret} in a memo"},
        static_summary=f"{secret} in a summary",
        static_details=f"{secret} in details",
    )


async def run_through(by: Client, secret: str) -> str:
    """A workflow from its start to its end, using every kind of message; returns its id."""
    queue = str(uuid4())
    async with deciding(by, queue), acting(by, queue):
        handle = await start(by, queue, secret)
        await tell(handle, f"{secret} by signal")
        await knows(handle, f"{secret} failed")
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(SecretKeeper.end, Secret(text=secret, stays=True))
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.message == f"{secret} stays"
        assert await handle.execute_update(SecretKeeper.end, Secret(text=secret)) == Secret(text=secret)
        assert await handle.result() == Secret(text=secret)
        description = await handle.describe()
        assert await description.static_summary() == f"{secret} in a summary"
        assert await description.memo() == {"first": f"{secret} in a memo", "later": f"{secret} in a memo"}
    return queue


async def test_temporals_database_holds_nothing_readable(temporal_cli: Path, tmp_path: Path) -> None:
    """The same workflow twice: without keys, which shows that what is sought can be found, and with."""
    async with running_temporal(temporal_cli, database=tmp_path / "temporal.db") as temporal:
        plain, sealed = await client(temporal), await client(temporal, NEW)
        clear_id = await run_through(plain, "hunter-in-clear")
        sealed_id = await run_through(sealed, "hunter-in-hiding")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("temporal.db*"))
    assert clear_id.encode() in stored
    assert sealed_id.encode() in stored
    for way in STORED:
        assert f"hunter-in-clear {way}".encode() in stored
    assert NEW_ID.encode() in stored
    assert b"hunter-in-hiding" not in stored


async def task_failed(handle: Handle) -> bool:
    return bool([
        event async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ])  # fmt: skip


async def test_a_worker_without_the_key_decides_nothing_until_another_has_it(temporal: HostPort) -> None:
    queue = str(uuid4())
    able, unable = await client(temporal, NEW), await client(temporal, OLD)
    handle = await start(able, queue, "hunter2")
    await handle.signal(SecretKeeper.tell, Secret(text="first"))
    async with deciding(unable, queue):
        await eventually(lambda: task_failed(handle))
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    async with deciding(able, queue), acting(able, queue):
        await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
        assert await handle.result() == Secret(text="hunter2")
        assert (await handle.query(SecretKeeper.told))[0] == "first"


@pytest.mark.parametrize("keys", [(), (OLD,)], ids=["no key", "another key"])
async def test_a_worker_that_cannot_read_an_activity_stops_and_leaves_it_to_others(
    temporal: HostPort, keys: Sequence[str]
) -> None:
    queue = str(uuid4())
    able = await client(temporal, NEW)
    handle = await start(able, queue, "hunter2")
    async with deciding(able, queue):
        group = Group(queue=queue, why="a test", activities=lambda _: (keep, spill))
        with pytest.raises(WorkerFailedError, match=f"is encrypted with key '{NEW_ID}', and this process has"):
            await asyncio.wait_for(run_workers([group], holding(temporal, keys)), 30)
        async with acting(able, queue):
            await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
            assert await handle.result() == Secret(text="hunter2")


async def heartbeat(handle: Handle) -> Payload:
    """What the pending activity has heartbeat last, as Temporal keeps it; waited for."""

    async def look() -> Payload | None:
        pending = (await handle.describe()).raw_description.pending_activities
        return next((payload for each in pending for payload in each.heartbeat_details.payloads), None)

    return await eventually(look)


async def test_a_heartbeat_that_a_worker_cannot_read_does_not_fail_the_activity(temporal: HostPort) -> None:
    """The SDK by itself fails such an activity for good."""
    queue = str(uuid4())
    able, ahead, behind = (
        await client(temporal, OLD, NEW),
        await client(temporal, NEW, OLD),
        await client(temporal, OLD),
    )
    handle = await start(able, queue, "hunter2", stays=True)

    async with deciding(able, queue):
        async with acting(ahead, queue):
            assert is_encrypted(await heartbeat(handle))
        with pytest.raises(RuntimeError) as stopped:
            await asyncio.wait_for(acting(behind, queue).run(), 30)
        assert isinstance(stopped.value.__cause__, WorkerLacksKeyError)
        async with acting(able, queue):
            await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
            assert await handle.result() == Secret(text="hunter2 beats")


async def test_encryption_is_switched_on_with_workflows_in_flight(temporal: HostPort) -> None:
    queue = str(uuid4())
    plain, sealing = await client(temporal), await client(temporal, NEW)
    await start(plain, queue, "hunter2", stays=True)
    async with deciding(plain, queue), acting(plain, queue):
        await tell(handle_for(plain, queue), "in clear")
        assert not is_encrypted(await heartbeat(handle_for(plain, queue)))
    async with deciding(sealing, queue), acting(sealing, queue):
        handle = handle_for(sealing, queue)
        await tell(handle, "sealed")
        await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
        assert await handle.result() == Secret(text="hunter2 beats")


def handle_for(by: Client, queue: str) -> Handle:
    return by.get_workflow_handle_for(SecretKeeper.run, queue)


async def tell(handle: Handle, text: str) -> None:
    await handle.signal(SecretKeeper.tell, Secret(text=text))
    await knows(handle, text)


async def knows(handle: Handle, text: str) -> None:
    """Wait until the workflow was told so, by a signal or by its failing activity."""

    async def look() -> bool:
        return any(text in each for each in await handle.query(SecretKeeper.told))

    await eventually(look)


async def test_keys_are_rotated_with_workflows_in_flight(temporal: HostPort) -> None:
    """As docs/security.md says: the new key is first known everywhere, then used, and the old one goes last."""
    queue = str(uuid4())
    await start(await client(temporal, OLD), queue, "hunter2")
    for keys in ((OLD,), (OLD, NEW), (NEW, OLD)):
        by = await client(temporal, *keys)
        async with deciding(by, queue), acting(by, queue):
            handle = handle_for(by, queue)
            await tell(handle, f"with {keys[0]} first of {len(keys)}")
            await knows(handle, "failed")
            if keys[0] is NEW:
                await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
                assert await handle.result() == Secret(text="hunter2")


async def test_a_client_without_the_key_is_told_which(temporal: HostPort) -> None:
    queue = str(uuid4())
    able, unable = await client(temporal, NEW), await client(temporal)
    async with deciding(able, queue), acting(able, queue):
        handle = await start(able, queue, "hunter2")
        await handle.execute_update(SecretKeeper.end, Secret(text="enough"))
        await handle.result()
        for look in (handle_for(unable, queue).result(), handle_for(unable, queue).query(SecretKeeper.told)):
            with pytest.raises(KeyMissingError, match=f"key '{NEW_ID}', and this process has no keys at all"):
                await asyncio.wait_for(look, timedelta(seconds=10).total_seconds())
