import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devstack.envoy import is_ready
from devstack.errors import AlreadyRunning, NotServingError, PortTakenError
from devstack.http_probe import http_status
from devstack.record import record_file, write_record
from devstack.stack import Addresses, Stack, StackConfig, read_record
from devstack.temporal_server import wait_until_serving
from models.quantities import port_of
from models.stack import StackRecord
from providers.host_ports import OF_INSTANCES, process_started
from tests.devstack.conftest import Terminal, eventually, python_program

WORKER = """
import http.server, os, signal, sys
from urllib.request import urlopen

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *args):
        pass

signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
print(sys.argv[1], "uses", os.environ["HOLDFAST_TEMPORAL_ADDRESS"], "in", os.environ["HOLDFAST_HOME"])
http.server.HTTPServer(("127.0.0.1", int(os.environ["HOLDFAST_WORKER_HEALTH_PORT"])), Health).serve_forever()
"""


@pytest.fixture
def config(tmp_path: Path, real_cli: Path) -> StackConfig:
    """The real stack, with a small worker program, as this folder is below those that have one."""
    return StackConfig(
        home=tmp_path / "home",
        temporal_cli=real_cli,
        temporal_port=0,
        ui_port=0,
        envoy_admin_port=0,
        worker_groups=("rollouts", "deploys"),
        worker_command=python_program(tmp_path / "worker.py", WORKER),
    )


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[StackRecord]:
    stop = asyncio.Event()
    ready: asyncio.Future[StackRecord] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(stack.run(stop, ready.set_result))
    waiting: list[asyncio.Future[StackRecord] | asyncio.Task[None]] = [task, ready]
    await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await task


async def test_everything_serves_then_everything_is_gone(config: StackConfig, terminal: Terminal) -> None:
    stack = Stack(config, terminal.voice)
    async with running(stack) as record:
        await wait_until_serving(record.temporal)
        assert await is_ready(record.envoy_admin)
        assert await http_status(record.ui, "/") == 200
        assert record.keeper_health
        assert await http_status(record.keeper_health, "/readyz") == 200
        assert set(record.worker_health) == {"rollouts", "deploys"}
        for health in record.worker_health.values():
            assert await http_status(health, "/readyz") == 200
        for address in (record.keeper_health, *record.worker_health.values(), *record.worker_metrics.values()):
            assert port_of(address) not in OF_INSTANCES, "an instance may hold it once its process has died"
        assert read_record(config.home) == record
        assert f"rollouts uses {record.temporal} in {config.home}" in terminal.text
        pids = [child.pid for child in stack.supervisor.children if child.pid]
        assert len(pids) == 5
    assert not any(map(process_started, pids))
    assert read_record(config.home) is None
    assert not record_file(config.home).exists()
    ends = [terminal.text.index(f"{name} stopped.") for name in ("worker-deploys", "envoy", "temporal", "keeper")]
    assert ends == sorted(ends)


async def test_services_come_back_before_workers_start_and_go_after_workers_stopped(
    config: StackConfig, terminal: Terminal
) -> None:
    async def note(what: str, addresses: Addresses) -> None:
        assert await is_ready(addresses.envoy_admin)
        terminal.voice.say(what)

    stack = Stack(
        config,
        terminal.voice,
        on_started=lambda addresses: note("services restored", addresses),
        on_stopping=lambda addresses: note("services halted", addresses),
    )
    async with running(stack):
        pass
    story = (
        "Envoy serves",
        "services restored",
        "rollouts uses",
        "worker-deploys stopped",
        "services halted",
        "envoy stopped",
    )
    places = [terminal.text.index(part) for part in story]
    assert places == sorted(places)


async def test_a_second_stack_in_the_same_home_learns_what_runs_and_starts_nothing(
    config: StackConfig, terminal: Terminal
) -> None:
    async with running(Stack(config, terminal.voice)) as record:
        second = Stack(config, terminal.voice)
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}, since") as raised:
            await second.run(asyncio.Event(), lambda record: None)
        assert raised.value.record == record
        assert second.supervisor.children == ()
        assert read_record(config.home) == record


async def test_a_taken_port_is_named_with_its_holder_before_anything_starts(
    config: StackConfig, terminal: Terminal
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = Stack(replace(config, ui_port=port), terminal.voice)
        with pytest.raises(
            PortTakenError,
            match=rf"Port {port}, for Temporal's UI, is taken by .* \(process {os.getpid()}\).*HOLDFAST_UI_PORT",
        ):
            await stack.run(asyncio.Event(), lambda record: None)
    assert stack.supervisor.children == ()


async def test_a_server_that_exists_is_used_and_not_stopped(
    config: StackConfig, terminal: Terminal, tmp_path: Path
) -> None:
    async with running(Stack(config, terminal.voice)) as first:
        external = replace(
            config, home=tmp_path / "other", temporal_address=first.temporal, worker_groups=("rollouts",)
        )
        stack = Stack(external, terminal.voice)
        async with running(stack) as second:
            assert second.temporal == first.temporal
            assert [child.spec.name for child in stack.supervisor.children] == ["keeper", "envoy", "worker-rollouts"]
        await wait_until_serving(first.temporal)


async def test_when_a_worker_does_not_come_up_everything_is_stopped_and_its_last_words_are_told(
    config: StackConfig, terminal: Terminal, tmp_path: Path
) -> None:
    broken = replace(config, worker_command=python_program(tmp_path / "broken.py", "raise SystemExit('no catalog')"))
    stack = Stack(broken, terminal.voice)
    with pytest.raises(NotServingError, match=r"ended before it served[\s\S]*no catalog"):
        await stack.run(asyncio.Event(), lambda record: None)
    assert stack.supervisor.children == ()
    assert "temporal stopped." in terminal.text


async def test_the_record_of_a_process_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    started = process_started(os.getpid())
    await gone.wait()
    assert started
    home, now = tmp_path, datetime.now(UTC)
    mine = StackRecord(
        pid=os.getpid(), process_started=started, started_at=now, temporal="a:1", ui="a:2", envoy_admin="a:3"
    )
    write_record(home, mine.model_copy(update={"pid": gone.pid}))
    assert read_record(home) is None
    write_record(home, mine.model_copy(update={"process_started": started - 60}))
    assert read_record(home) is None
    write_record(home, mine)
    assert read_record(home) == mine


async def test_after_a_kill_nothing_is_left_and_the_next_start_goes_on(
    config: StackConfig, terminal: Terminal, tmp_path: Path
) -> None:
    up = await asyncio.create_subprocess_exec(
        *python_program(
            tmp_path / "up.py",
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from rich.console import Console\n"
            "from devstack.stack import Stack, StackConfig\n"
            "from devstack.voice import Voice\n"
            "home, cli, *worker = sys.argv[1:]\n"
            "config = StackConfig(home=Path(home), temporal_cli=Path(cli), temporal_port=0, ui_port=0,\n"
            "    envoy_admin_port=0, worker_groups=('rollouts',), worker_command=worker)\n"
            "stack = Stack(config, Voice(Console()))\n"
            "asyncio.run(stack.run(asyncio.Event(), lambda record: None))\n",
        ),
        str(config.home),
        str(config.temporal_cli),
        *config.worker_command,
    )
    await eventually(lambda: read_record(config.home), within=60)
    record = read_record(config.home)
    assert record
    up.send_signal(signal.SIGKILL)
    await up.wait()
    assert read_record(config.home) is None
    for address in (record.temporal, record.envoy_admin, record.worker_health["rollouts"]):
        async with asyncio.timeout(10):
            while await http_status(address, "/") is not None:
                await asyncio.sleep(0.02)
    async with running(Stack(config, terminal.voice)):
        assert read_record(config.home)
