"""The demo as a newcomer meets it: told to a pipe, on a terminal, and ended in the middle."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.whole.platform import ROOT, Platform, free_port, until, words_of

DEMO = (sys.executable, "-m", "examples.demo")
LIMIT_SECONDS = 240

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Stage:
    """A folder, ports and a catalog for one demo. `platform` finds the processes that it starts."""

    def __init__(self, folder: Path) -> None:
        self.platform = Platform(folder)
        self.env = {**self.platform.env, "PYTHONUNBUFFERED": "1"}
        self.platform.home /= "demo"
        self.port = free_port()
        shops = (ROOT / "examples" / "shop" / "holdfast.yaml").read_text()
        shops = shops.replace("127.0.0.1:18080", f"127.0.0.1:{self.port}").replace("../..", str(ROOT))
        self.catalog = folder / "holdfast.yaml"
        self.catalog.write_text(shops)

    @property
    def command(self) -> list[str]:
        return [*DEMO, "--catalog", str(self.catalog)]

    def run(self, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command, cwd=ROOT, env={**self.env, **env}, capture_output=True, text=True, timeout=LIMIT_SECONDS,
            check=False,
        )  # fmt: skip

    def processes(self) -> list[str]:
        return [" ".join(words_of(process)) for process in self.platform.processes()]


@pytest.fixture
def stage(tmp_path: Path, temporal_cli: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.platform.end()


def test_tells_its_story_to_a_pipe_and_leaves_nothing_behind(stage: Stage) -> None:
    began = time.monotonic()
    run = stage.run()
    took = time.monotonic() - began

    assert run.returncode == 0, run.stdout + run.stderr
    assert took < LIMIT_SECONDS
    assert stage.processes() == []
    judged = re.search(r"judged bad after +([\d.]+) s", run.stdout)
    off = re.search(r"off all traffic +([\d.]+) s after that", run.stdout)
    share = re.search(r"during the rollout of v3, \d+ failed \(([\d.]+) %\)", run.stdout)
    assert judged
    assert off
    assert share
    assert 0 < float(judged[1]) < 20
    assert float(off[1]) < 5
    assert 0 < float(share[1]) < 20
    told = re.search(r"The demo took (\d+) s", run.stdout)
    assert told
    assert 0 < int(told[1]) <= took + 1
    assert run.stdout.rstrip().endswith("Everything is stopped.")
    # Envoy's warnings and the workers' JSON stay in the log.
    assert "Envoy serves" in run.stdout
    assert not re.search(r"[│{}]|worker-|Metrics:", run.stdout)
    assert run.stderr == ""


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_its_programs_when_it_is_interrupted(stage: Stage, tmp_path: Path, number: signal.Signals) -> None:
    told = tmp_path / "told"
    with told.open("wb") as output:
        demo = subprocess.Popen(stage.command, cwd=ROOT, env=stage.env, stdout=output, stderr=output)
    until(lambda: "v2 receives 10%" in told.read_text() or demo.poll() is not None, "the second rollout", within=120)

    demo.send_signal(number)

    assert demo.wait(60) == 128 + number
    assert stage.processes() == []
    assert "Traceback" not in told.read_text()
    assert told.read_text().rstrip().endswith("Everything is stopped.")


@pytest.mark.full
def test_ends_its_programs_when_nobody_reads_any_more(stage: Stage) -> None:
    """As under `| head -3`."""
    demo = subprocess.Popen(
        stage.command, cwd=ROOT, env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert demo.stdout
    assert demo.stderr
    until(lambda: any("worker" in process for process in stage.processes()), "the workers", within=60)
    for _ in range(3):
        demo.stdout.readline()
    demo.stdout.close()

    demo.wait(60)

    assert stage.processes() == []
    assert demo.stderr.read() == ""
    demo.stderr.close()


def test_refuses_when_the_shops_port_is_taken(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", stage.port)):
        run = stage.run()

    assert run.returncode == 1
    assert re.search(rf"Port {stage.port}, for the shop, is taken by .*\(process {os.getpid()}\)", run.stderr)
    assert "--catalog" in run.stderr
    assert stage.processes() == []


def test_refuses_when_a_port_of_the_stack_is_taken(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = stage.run(HOLDFAST_UI_PORT=str(port))

    assert run.returncode == 1
    assert re.search(rf"Port {port}, for Temporal's UI, is taken by .*\(process {os.getpid()}\)", run.stderr)
    assert "HOLDFAST_UI_PORT" in run.stderr
    assert "Traceback" not in run.stderr
    assert stage.processes() == []


class Terminal:
    """A terminal with a program in it, and what it has shown so far."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(command[0], command, env)  # noqa: S606 - a terminal's own child
        self.shown = ""

    def read(self, wanted: str) -> bool:
        """Whether this has been shown by now."""
        while select.select([self._fd], [], [], 0)[0]:
            try:
                self.shown += os.read(self._fd, 65536).decode(errors="replace")
            except OSError:  # the program has ended
                break
        return wanted in self.shown

    def press_ctrl_c(self) -> None:
        os.write(self._fd, b"\x03")

    def exit_code(self, within: float) -> int:
        process = psutil.Process(self.pid)
        until(lambda: self.read("") and process.status() == psutil.STATUS_ZOMBIE, "the demo to end", within=within)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.full
def test_stays_up_on_a_terminal_until_ctrl_c(stage: Stage) -> None:
    terminal = Terminal(stage.command, stage.env)
    until(lambda: terminal.read("Ctrl-C here stops everything."), "the end of the story", within=150)
    hint = re.search(r"^  (\. .*/env)\r?$", terminal.shown, re.MULTILINE)
    assert hint
    shell = ["bash", "-c", f"{hint[1]} && holdfast status shop"]
    status = subprocess.run(shell, cwd=ROOT, env=stage.env, capture_output=True, text=True, timeout=30, check=False)
    second = stage.run()

    terminal.press_ctrl_c()

    assert terminal.exit_code(60) == 0
    assert stage.processes() == []
    assert "canary shop v3 → local: rolled back" in status.stdout
    assert second.returncode == 1
    assert "already runs here" in second.stderr
    assert "Everything is stopped." in terminal.shown
