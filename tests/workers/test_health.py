import asyncio
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from models.quantities import HostPort
from runtime.health import serving_health
from workers.health import Status, WorkerReport


@dataclass
class Engine:
    is_running: bool


def ask(address: HostPort, path: str) -> tuple[int, WorkerReport]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
            return response.status, WorkerReport.model_validate_json(response.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, WorkerReport.model_validate_json(refused.read())


async def test_ready_only_while_every_worker_runs() -> None:
    status, first, second = Status(["deploys", "traffic"]), Engine(is_running=True), Engine(is_running=False)

    async def ready() -> tuple[int, str]:
        code, report = await asyncio.to_thread(ask, address, "/readyz")
        assert report.groups == ("deploys", "traffic")
        assert report.ok == (code == 200)
        return code, report.state

    with serving_health(status, 0) as address:
        assert await ready() == (503, "connecting")
        status.connected([first, second])
        assert await ready() == (503, "starting")
        second.is_running = True
        assert await ready() == (200, "running")
        status.stopping()
        assert await ready() == (503, "stopping")


async def test_alive_while_the_event_loop_answers() -> None:
    with serving_health(Status(["deploys"]), 0) as address:
        code, report = await asyncio.to_thread(ask, address, "/healthz")
    assert (code, report.ok, report.state) == (200, True, "connecting")
    assert 0 <= report.seconds < 10


async def test_a_blocked_event_loop_is_reported() -> None:
    with serving_health(Status(["deploys"]), 0) as address:
        answers: list[tuple[int, WorkerReport]] = []
        asking = threading.Thread(target=lambda: answers.append(ask(address, "/healthz")))
        asking.start()
        asking.join()  # blocks the loop until the endpoint has given it up
    ((code, report),) = answers
    assert (code, report.ok) == (503, False)
    assert "something blocks it" in report.text


async def test_other_paths_are_answered_with_those_that_exist() -> None:
    with serving_health(Status(["deploys"]), 0) as address:
        with pytest.raises(urllib.error.HTTPError, match=r"404: ask for /healthz or /readyz") as refused:
            await asyncio.to_thread(urllib.request.urlopen, f"http://{address}/", timeout=10)
        refused.value.close()


async def test_a_taken_port_is_named_with_the_way_out() -> None:
    with serving_health(Status(["deploys"]), 0) as address:
        port = int(address.rpartition(":")[2])
        with (
            pytest.raises(OSError, match=rf"{address}.*HOLDFAST_WORKER_HEALTH_PORT"),
            serving_health(Status(["traffic"]), port),
        ):
            pass


def test_the_report_is_plain_json() -> None:
    report = json.loads(Status(["deploys"]).ready().model_dump_json())
    assert set(report) == {"ok", "state", "groups", "seconds", "text"}
