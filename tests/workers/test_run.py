import asyncio
import signal
import urllib.request
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from models.quantities import HostPort
from runtime.client import connect
from runtime.settings import Settings
from tests.workers.dev_server import free_port, running_temporal
from tests.workers.eventually import eventually
from tests.workers.process import worker_process
from tests.workers.sample_work import Errand, Mishap, SampleMishap, mishap
from tests.workers.test_health import ask
from workers.groups import Group
from workers.run import WorkerFailedError, run_workers

Errands = WorkflowHandle[object, str]


async def _send_on_errand(temporal: HostPort, queue: str, folder: Path) -> Errands:
    client = await connect(Settings(temporal_address=temporal))
    return await client.start_workflow(
        "SampleErrand", Errand(folder=str(folder)), id=f"errand/{queue}", task_queue=queue, result_type=str
    )


def _diary(folder: Path) -> list[str]:
    path = folder / "diary"
    return path.read_text().split("\n")[:-1] if path.exists() else []


async def _begun(folder: Path) -> None:
    async def look() -> bool:
        return bool(_diary(folder))

    await eventually(look)


async def _event_count(handle: Errands, kind: "EventType.ValueType") -> int:
    return sum([event.event_type == kind async for event in handle.fetch_history_events()])


async def test_a_stop_lets_a_running_activity_finish(temporal: HostPort, tmp_path: Path) -> None:
    queue = str(uuid4())
    async with worker_process(queue, tmp_path, temporal) as worker:
        handle = await _send_on_errand(temporal, queue, tmp_path)
        await _begun(tmp_path)
        worker.signal(signal.SIGTERM)
        await worker.said("Stopping on SIGTERM")
        code, report = await asyncio.to_thread(ask, worker.health, "/readyz")
        assert (code, report.state) == (503, "stopping")
        (tmp_path / "go").touch()
        assert await worker.exit_code() == 0
    assert _diary(tmp_path) == ["begun", "done"]
    assert await _event_count(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED) == 1
    assert worker.lines()[-1]["message"] == "Worker stopped"


async def test_an_activity_that_takes_longer_than_the_drain_is_told(temporal: HostPort, tmp_path: Path) -> None:
    queue = str(uuid4())
    async with worker_process(queue, tmp_path, temporal, drain=0.2) as worker:
        await _send_on_errand(temporal, queue, tmp_path)
        await _begun(tmp_path)
        worker.signal(signal.SIGINT)
        assert await worker.exit_code() == 0
    assert _diary(tmp_path) == ["begun", "cut short"]


async def test_a_second_signal_ends_the_process_at_once(temporal: HostPort, tmp_path: Path) -> None:
    queue = str(uuid4())
    async with worker_process(queue, tmp_path, temporal) as worker:
        await _send_on_errand(temporal, queue, tmp_path)
        await _begun(tmp_path)
        worker.signal(signal.SIGTERM)
        await worker.said("Stopping on SIGTERM")
        worker.signal(signal.SIGTERM)
        assert await worker.exit_code() == -signal.SIGTERM
    assert _diary(tmp_path) == ["begun"]


async def test_a_worker_started_before_temporal_works_once_it_is_there(temporal_cli: Path, tmp_path: Path) -> None:
    queue, port = str(uuid4()), free_port()
    async with worker_process(queue, tmp_path, f"127.0.0.1:{port}") as worker:
        await worker.said("Waiting for Temporal")
        code, report = await asyncio.to_thread(ask, worker.health, "/readyz")
        assert (code, report.state) == (503, "connecting")
        assert (await asyncio.to_thread(ask, worker.health, "/healthz"))[0] == 200
        async with running_temporal(temporal_cli, port) as temporal:
            await worker.ready()
            (tmp_path / "go").touch()
            handle = await _send_on_errand(temporal, queue, tmp_path)
            assert await handle.result() == "done"
            worker.signal(signal.SIGTERM)
            assert await worker.exit_code() == 0


async def test_a_worker_goes_on_when_temporal_returns(temporal_cli: Path, tmp_path: Path) -> None:
    queue, port = str(uuid4()), free_port()
    (tmp_path / "go").touch()
    async with worker_process(queue, tmp_path, f"127.0.0.1:{port}") as worker:
        for _ in ("first", "returned"):
            async with running_temporal(temporal_cli, port) as temporal:
                handle = await _send_on_errand(temporal, queue, tmp_path)
                assert await handle.result() == "done"
        worker.signal(signal.SIGTERM)
        assert await worker.exit_code() == 0


async def test_a_worker_that_waits_for_temporal_stops_when_told_to(tmp_path: Path) -> None:
    async with worker_process("unused", tmp_path, f"127.0.0.1:{free_port()}") as worker:
        await worker.said("Waiting for Temporal")
        worker.signal(signal.SIGTERM)
        assert await worker.exit_code() == 0


async def test_progress_is_seen_within_a_second_or_so(temporal: HostPort, tmp_path: Path) -> None:
    queue, seen = str(uuid4()), set[bytes]()
    async with worker_process(queue, tmp_path, temporal) as worker:
        handle = await _send_on_errand(temporal, queue, tmp_path)
        await _begun(tmp_path)

        async def look() -> bool:
            for pending in (await handle.describe()).raw_description.pending_activities:
                seen.update(payload.data for payload in pending.heartbeat_details.payloads)
            return len(seen) >= 3

        # The SDK's own throttle would be 4 s here, 0.8 of the heartbeat timeout: the third at 8 s.
        await eventually(look, timedelta(seconds=7))
        worker.signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        await worker.exit_code()


async def test_a_worker_that_breaks_down_ends_the_run_with_the_reason(temporal: HostPort, tmp_path: Path) -> None:
    queue = str(uuid4())
    client = await connect(Settings(temporal_address=temporal))
    await client.start_workflow("SampleMishap", Mishap(where="activity", kind="breakdown"), id=queue, task_queue=queue)
    group = Group(queue=queue, why="a test", workflows=(SampleMishap,), activities=lambda _: (mishap,))
    settings = Settings(temporal_address=temporal, home=tmp_path)
    with pytest.raises(WorkerFailedError, match=f"the worker on queue {queue} failed: the pool is broken"):
        await asyncio.wait_for(run_workers([group], settings), 30)


async def test_a_running_worker_shows_what_it_does(temporal: HostPort, tmp_path: Path) -> None:
    queue = str(uuid4())
    (tmp_path / "go").touch()
    async with worker_process(queue, tmp_path, temporal) as worker:
        handle = await _send_on_errand(temporal, queue, tmp_path)
        await handle.result()
        await worker.ready()
        with await asyncio.to_thread(urllib.request.urlopen, f"http://{worker.metrics}/metrics") as response:
            metrics = response.read().decode()
        line = await worker.said("sending someone out")
    assert f'task_queue="{queue}"' in metrics
    assert "temporal_activity_execution_latency_seconds_bucket" in metrics
    assert (line["workflow_id"], line["run_id"]) == (f"errand/{queue}", handle.result_run_id)
