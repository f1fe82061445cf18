import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from devstack.child import ChildSpec
from devstack.errors import NotServingError
from devstack.supervisor import Supervisor
from providers.host_ports import process_started
from tests.devstack.conftest import Terminal, eventually, python_program

SERVES = "import time; print('[bold]at work'); time.sleep(60)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf')
time.sleep(60)
"""
STARTS_A_SERVICE = """
import subprocess, sys, time
command = [sys.executable, '-c', 'import time; time.sleep(60)']
service = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
helper = subprocess.Popen(command)
print(service.pid, helper.pid)
time.sleep(60)
"""
SECONDS = timedelta(seconds=20)


async def at_once() -> None:
    return


async def never() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def supervisor(tmp_path: Path, terminal: Terminal) -> Supervisor:
    return Supervisor(tmp_path / "logs", terminal.voice)


def child(tmp_path: Path, name: str, source: str, grace: float = 10) -> ChildSpec:
    command = python_program(tmp_path / f"{name}.py", source)
    return ChildSpec(name=name, command=command, grace=timedelta(seconds=grace))


def lives(pid: int) -> bool:
    return process_started(pid) is not None


async def test_a_child_that_is_killed_is_started_again_and_that_is_said(
    tmp_path: Path, supervisor: Supervisor, terminal: Terminal
) -> None:
    await supervisor.start([(child(tmp_path, "web", SERVES), at_once)], within=SECONDS)
    (web,) = supervisor.children
    first = web.pid
    assert first
    await eventually(lambda: "at work" in terminal.text)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: web.pid not in (None, first))
    assert "web was ended by signal 9 (Killed); starting it again in 0.2 s." in terminal.text
    await supervisor.stop()


async def test_lines_reach_the_terminal_as_they_are_behind_a_name_and_the_log_file(
    tmp_path: Path, supervisor: Supervisor, terminal: Terminal
) -> None:
    await supervisor.start([(child(tmp_path, "web", SERVES), at_once)], within=SECONDS)
    await eventually(lambda: "web             │ [bold]at work\n" in terminal.text)
    await supervisor.stop()
    assert (tmp_path / "logs" / "web.log").read_text() == "[bold]at work\n"


async def test_all_are_stopped_in_reverse_order_and_nothing_is_left(
    tmp_path: Path, supervisor: Supervisor, terminal: Terminal
) -> None:
    for name in ("one", "two", "three"):
        await supervisor.start([(child(tmp_path, name, SERVES), at_once)], within=SECONDS)
    pids = [each.pid for each in supervisor.children if each.pid]
    assert len(pids) == 3
    await supervisor.stop()
    assert not any(map(lives, pids))
    ends = [terminal.text.index(f"{name} stopped.") for name in ("three", "two", "one")]
    assert ends == sorted(ends)


async def test_one_that_does_not_listen_is_killed_after_its_grace(
    tmp_path: Path, supervisor: Supervisor, terminal: Terminal
) -> None:
    await supervisor.start([(child(tmp_path, "deaf", STUBBORN, grace=0.2), at_once)], within=SECONDS)
    pid = supervisor.children[0].pid
    await eventually(lambda: "│ deaf" in terminal.text)
    await supervisor.stop()
    assert pid
    assert not lives(pid)
    assert "deaf was killed." in terminal.text


async def test_in_a_hurry_no_grace_is_waited_for(tmp_path: Path, supervisor: Supervisor, terminal: Terminal) -> None:
    await supervisor.start([(child(tmp_path, "deaf", STUBBORN, grace=600), at_once)], within=SECONDS)
    await eventually(lambda: "│ deaf" in terminal.text)
    stopping = asyncio.create_task(supervisor.stop())
    supervisor.hurry.set()
    async with asyncio.timeout(10):
        await stopping
    assert "deaf was killed." in terminal.text


async def test_a_service_that_a_worker_started_outlives_it_and_its_helpers_do_not(
    tmp_path: Path, supervisor: Supervisor, terminal: Terminal
) -> None:
    await supervisor.start([(child(tmp_path, "worker", STARTS_A_SERVICE), at_once)], within=SECONDS)
    log = tmp_path / "logs" / "worker.log"
    await eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    service, helper = map(int, log.read_text().split())
    try:
        async with asyncio.timeout(10):
            await supervisor.stop()
        await eventually(lambda: not lives(helper))
        assert lives(service)
    finally:
        os.kill(service, signal.SIGKILL)


async def test_one_that_ends_before_it_serves_is_an_error_with_its_last_words(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with pytest.raises(NotServingError, match=r"web ended before it served[\s\S]*no such thing"):
        await supervisor.start([(child(tmp_path, "web", "raise SystemExit('no such thing')"), never)], within=SECONDS)
    await supervisor.stop()


async def test_one_that_never_serves_is_an_error(tmp_path: Path, supervisor: Supervisor) -> None:
    with pytest.raises(NotServingError, match="web did not serve within 0 s"):
        await supervisor.start([(child(tmp_path, "web", SERVES), never)], within=timedelta(seconds=0.2))
    await supervisor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    parent_program = python_program(
        tmp_path / "parent.py",
        "import subprocess, sys\n"
        "from devstack.tether import tethered\n"
        "child = subprocess.Popen(tethered(['sleep', '60']), start_new_session=True)\n"
        "while open(f'/proc/{child.pid}/comm').read().strip() != 'sleep': pass\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n",
    )
    parent = subprocess.Popen(parent_program, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout:
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
        parent.wait()
    await eventually(lambda: not lives(pid))
