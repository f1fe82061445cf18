"""A whole local stack as a user runs it: the real command, real processes, a folder and ports of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from models.ids import ServiceRef
from models.traffic import EnvoyTraffic
from providers.envoy_router import EnvoyRouter
from providers.errors import ProviderError
from tests.own_settings import strange_settings

ROOT = Path(__file__).resolve().parents[2]
HOLDFAST = (sys.executable, "-m", "starters.main")
Json = dict[str, Any]


def until(condition: Callable[[], object], what: str, *, within: float = 30) -> None:
    """Wait for a condition; fail the test when it does not come true in time."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {within} s for {what}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing of a process that ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def environment(home: Path, **more: str) -> dict[str, str]:
    """What the command sees: this home, free ports, and nothing of the developer's own settings."""
    strange = strange_settings()
    inherited = {name: value for name, value in os.environ.items() if name not in strange}
    ports = {f"HOLDFAST_{name}_PORT": "0" for name in ("TEMPORAL", "UI", "ENVOY_ADMIN", "GATEWAY")}
    return {**inherited, **ports, "HOLDFAST_HOME": str(home), "COLUMNS": "200", **more}


@dataclass(frozen=True)
class Shop:
    """A catalog with one service that no other test uses."""

    name: str
    catalog: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Platform:
    """`holdfast up` in a folder, and the command against it."""

    made: ClassVar[list[tuple["Platform", Shop]]] = []
    """Every service of every platform that is to be retired after the test which made it."""

    def __init__(self, folder: Path, up_command: Sequence[str] = (*HOLDFAST, "up")) -> None:
        self._up_command = up_command
        self.folder = folder
        self.home = folder / "home"
        self.env = environment(self.home)
        self.log = folder / "up.log"
        self._up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._up = subprocess.Popen(
                self._up_command, cwd=ROOT, env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        until(self._is_up_or_fails, "the stack to be up", within=120)

    def _is_up_or_fails(self) -> bool:
        assert self._up
        if self._up.poll() is not None:
            pytest.fail(f"holdfast up ended with {self._up.returncode}:\n{self.log.read_text()[-3000:]}")
        record = self.home / "stack.json"  # one killed before left its own
        return record.exists() and json.loads(record.read_text())["pid"] == self._up.pid

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        assert self._up
        self._up.send_signal(signal.SIGINT)
        code = self._up.wait(timeout=60)
        self._up = None
        return code

    def kill_everything(self) -> None:
        """kill -9 of the stack: all its processes die with it, the services' instances do not."""
        assert self._up
        every = (("worker", "rollouts"), ("start-dev",), ("bootstrap.json",), ("-m keeper",))
        parts = [part for words in every if (part := self.find(*words))]  # one killed before may not be back yet
        self._up.kill()
        self._up.wait()
        until(lambda: all(map(is_gone, parts)), "the stack to die")

    def end(self) -> None:
        """Stop whatever of it still runs, and every instance it started: only processes found by their own pids."""
        if self._up and self._up.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
        if self._up and self._up.poll() is None:
            self._up.kill()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()

    @property
    def record(self) -> Json:
        record: Json = json.loads((self.home / "stack.json").read_text())
        return record

    @property
    def envoy_admin(self) -> str:
        return str(self.record["envoy_admin"])

    def processes(self) -> list[psutil.Process]:
        """Every live process that this platform started: those that carry its home in their environment, and the
        instances whose logs lie under it.
        """
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                home = process.environ().get("HOLDFAST_HOME")
                if home == str(self.home) or self._holds_a_file(process, self.home):
                    found.append(process)
        return found

    @staticmethod
    def _holds_a_file(process: psutil.Process, folder: Path) -> bool:
        output = Path(f"/proc/{process.pid}/fd/1")
        return output.exists() and output.readlink().is_relative_to(folder)

    def part(self, *words: str) -> psutil.Process:
        """The process whose command line holds these words: `worker traffic`, `envoy`, `start-dev`."""
        found = self.find(*words)
        if found is None:
            raise LookupError(f"no process of the stack has {words} in its command line")
        return found

    def find(self, *words: str) -> psutil.Process | None:
        for process in self.processes():
            line = " ".join(words_of(process))
            if all(word in line for word in words) and "tether" not in line:
                return process
        return None

    def kill(self, *words: str) -> None:
        """kill -9 one part, as soon as it is there, and wait until it is gone."""
        until(lambda: self.find(*words), f"{words} to be there")
        process = self.part(*words)
        process.kill()
        until(lambda: is_gone(process), f"{words} to die")

    def instances(self, service: str) -> dict[str, int]:
        """How many instances of each version of a service live, by the logs under this home that they hold open."""
        found: dict[str, int] = {}
        for process in self.processes():
            with suppress(psutil.Error, OSError):
                command = process.cmdline()
                output = Path(f"/proc/{process.pid}/fd/1").readlink()
                if "examples.shop.server" in command and f"/{service}/" in str(output):
                    version = command[command.index("--version") + 1]
                    found[version] = found.get(version, 0) + 1
        return found

    def starts(self, service: str) -> dict[str, int]:
        """How many processes of each version of a service were ever started, by what each printed first."""
        found: dict[str, int] = {}
        for log in sorted((self.home / "instances" / "local" / service).glob("*/*.log")):
            found[log.parent.name] = found.get(log.parent.name, 0) + log.read_text().count("listens on")
        return found

    def shop(
        self,
        *,
        bake: str = "4s",
        instances: int = 2,
        approval: bool = False,
        steps: Sequence[Mapping[str, object]] = (),
        strategy: Mapping[str, object] | None = None,
        **judge: object,
    ) -> Shop:
        name = f"shop-{uuid.uuid4().hex[:8]}"
        port = free_port()
        catalog = self.folder / f"{name}.yaml"
        judge = {
            "min_requests": 20,
            "rules": [{"metric": "error_rate", "at_most": "5%"}],
            "compare": {"proof": False},
            **judge,
        }
        steps = steps or [{"weight": "10%", "bake": bake, "approval": approval}, {"weight": "50%", "bake": bake}]
        service = {
            "deploy": {
                "command": ["{python}", "-m", "examples.shop.server", "--port", "{port}", "--version", "{version}"],
                "working_directory": str(ROOT),
                "instances": instances,
                "ready": {"path": "/readyz", "timeout": "8s"},
            },
            "traffic": {"listen": f"127.0.0.1:{port}"},
            "rollout": {**(strategy or {"steps": steps}), "judge": judge},
        }
        catalog.write_text(json.dumps({"version": 1, "services": {name: service}}))
        self.made.append((self, shop := Shop(name, catalog, port)))
        return shop

    def retire(self, shop: Shop) -> None:
        """Take its traffic and its instances away, if this platform still runs: Envoy can watch some forty services."""
        if (self.home / "envoy" / "services" / f"local.{shop.name}.json").exists():
            with suppress(ProviderError, FileNotFoundError):
                asyncio.run(self._remove_traffic(shop))
        self.kill_instances(shop)

    def kill_instances(self, shop: Shop, *version: str) -> None:
        """kill -9 of all instances of a shop, or of one version of it."""
        for process in self.processes():
            with suppress(psutil.Error):
                if self._holds_a_file(process, self.home.joinpath("instances", "local", shop.name, *version)):
                    process.kill()

    async def _remove_traffic(self, shop: Shop) -> None:
        router = EnvoyRouter(self.home / "envoy", self.envoy_admin)
        try:
            ref = ServiceRef(environment="local", service=shop.name)
            await router.remove(ref, EnvoyTraffic(listen=f"127.0.0.1:{shop.port}"))
        finally:
            await router.aclose()

    def run(
        self, *args: str, timeout: float = 120, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*HOLDFAST, *args],
            cwd=ROOT, env={**self.env, **(env or {})}, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def deploy(self, shop: Shop, version: str, *, expect: int = 0) -> Json:
        """`deploy --wait --json`; the result."""
        run = self.run("deploy", shop.name, version, "--wait", "--json", "--catalog", str(shop.catalog))
        assert run.returncode == expect, f"exit code {run.returncode}\n{run.stdout}\n{run.stderr[-3000:]}"
        result: Json = json.loads(run.stdout)
        return result

    @contextmanager
    def deploying(self, shop: Shop, version: str) -> "Iterator[subprocess.Popen[str]]":
        """A `deploy --wait --json` under way; on leaving it is awaited."""
        words = ("deploy", shop.name, version, "--wait", "--json", "--catalog", str(shop.catalog))
        with under_way(*words, env=self.env) as process:
            yield process

    def order(self, verb: str, shop: Shop, *more: str) -> "subprocess.CompletedProcess[str]":
        return self.run(verb, shop.name, "--catalog", str(shop.catalog), *more)

    def state(self, shop: Shop) -> Json:
        run = self.order("status", shop, "--json")
        status: Json = json.loads(run.stdout)["state"] or {}
        return status

    def until_weight(self, shop: Shop, weight: str, *, within: float = 30) -> None:
        until(lambda: self.state(shop).get("weight") == weight, f"{shop.name} to be at {weight}", within=within)

    @contextmanager
    def traffic(self, shop: Shop, rate: int = 50) -> Iterator[Callable[[], Json]]:
        """Users of the shop; yields what reads their report."""
        report = self.folder / f"{shop.name}-traffic.json"
        report.unlink(missing_ok=True)  # what earlier users met
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.shop.traffic", "--url", shop.url, "--rate", str(rate),
             "--seconds", "170", "--report-file", str(report)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(report.exists, "the first report of the traffic")
        try:
            yield lambda: json.loads(report.read_text())
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def under_way(*words: str, env: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """`holdfast`, killed on leaving if it has not ended."""
    process = subprocess.Popen(
        [*HOLDFAST, *words], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finished(process: "subprocess.Popen[str]", *, within: float = 120) -> tuple[int, Json]:
    """The exit code and the result of a `deploying` command."""
    out, err = process.communicate(timeout=within)
    assert out.startswith("{"), (out[-1000:], err[-3000:])
    return process.returncode, json.loads(out)
