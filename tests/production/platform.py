"""What docker-compose.temporal.yml declares, run without images: PostgreSQL, Temporal's server, Envoy, the keeper, two
workers a group. Nothing restarts what dies: a test that kills a part sees whether the rest is enough.
"""

import asyncio
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack.stack import WORKER_COMMAND
from devstack.tether import tethered
from models.temporal_names import TaskQueue
from tests.production.parts import TemporalOnPostgres
from tests.whole.platform import HOLDFAST, ROOT, Platform, free_port, until

NAMESPACE = "holdfast"
RECORDS = "holdfast"
"""Its database."""

WORKERS_PER_GROUP = 2


@dataclass(frozen=True)
class Worker:
    group: str
    process: "subprocess.Popen[bytes]"
    health: int

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Production(Platform):
    def __init__(self, folder: Path, *, groups: Sequence[str] = tuple(TaskQueue)) -> None:
        super().__init__(folder)
        self.temporal = TemporalOnPostgres(folder / "temporal")
        self.workers: list[Worker] = []
        self._groups = tuple(map(str, groups))
        self._host: list[subprocess.Popen[bytes]] = []
        self.env |= {
            "HOLDFAST_TEMPORAL_ADDRESS": self.temporal.address,
            "HOLDFAST_TEMPORAL_NAMESPACE": NAMESPACE,
            "HOLDFAST_ENVOY_ADMIN": f"127.0.0.1:{free_port()}",
            "HOLDFAST_RECORDS_URL": self.temporal.postgres.url(RECORDS),
            "HOLDFAST_KEEPER_HEALTH_PORT": str(free_port()),
        }

    def start(self) -> None:
        self.temporal.start()
        asyncio.run(self.temporal.postgres.execute(f"CREATE DATABASE {RECORDS}"))
        setup = self.run("setup")
        assert setup.returncode == 0, setup.stderr
        self.start_host()
        for group in self._groups:
            for _ in range(WORKERS_PER_GROUP):
                self.start_worker(group)
        self.until_ready(self.workers)

    def start_host(self) -> None:
        """Envoy and the keeper, which stand on every host that serves."""
        admin, health = self.env["HOLDFAST_ENVOY_ADMIN"], self.env["HOLDFAST_KEEPER_HEALTH_PORT"]
        self._host = [self._spawn([*HOLDFAST, "envoy"]), self._spawn([*HOLDFAST, "keeper"])]
        until(lambda: answers(f"http://{admin}/ready"), "Envoy to serve", within=60)
        until(lambda: answers(f"http://127.0.0.1:{health}/readyz"), "the keeper to be ready", within=60)

    def start_worker(self, group: str, *, command: Sequence[str] = WORKER_COMMAND, build_id: str = "") -> Worker:
        """Start one without waiting for it; see `until_ready`."""
        port = free_port()
        env = {"HOLDFAST_WORKER_HEALTH_PORT": str(port), "HOLDFAST_BUILD_ID": build_id}
        process = self._spawn([*command, group], env)
        self.workers.append(worker := Worker(group, process, port))
        return worker

    def until_ready(self, workers: Sequence[Worker]) -> None:
        def all_are() -> bool:
            for each in workers:
                assert each.process.poll() is None, f"a worker ended:\n{self.log.read_text()[-3000:]}"
            return all(answers(f"http://127.0.0.1:{each.health}/readyz") for each in workers)

        until(all_are, "the workers to be ready", within=90)

    def pids(self) -> dict[str, int]:
        """One of each part; of a worker group the first that lives."""
        workers = {
            f"worker {each.group}": each.process.pid for each in reversed(self.workers) if each.process.poll() is None
        }
        envoy, keeper = self._host
        return {**workers, "envoy": envoy.pid, "keeper": keeper.pid, "temporal": self.temporal.server_pid}

    @property
    def envoy_admin(self) -> str:
        return self.env["HOLDFAST_ENVOY_ADMIN"]

    def workers_of(self, group: str) -> list[Worker]:
        return [each for each in self.workers if each.group == group and each.process.poll() is None]

    def in_namespace(self, namespace: str) -> "Production":
        """The same with a namespace of its own, and without workers there; to be ended by `end_workers`."""
        other = copy(self)
        other.env = {**self.env, "HOLDFAST_TEMPORAL_NAMESPACE": namespace}
        other.workers = []
        setup = other.run("setup")
        assert setup.returncode == 0, setup.stderr
        return other

    def _spawn(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                tethered(command), cwd=ROOT, env={**self.env, **(env or {})}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def end_workers(self) -> None:
        ended([each.process for each in self.workers])

    def end(self) -> None:
        """Stop workers first, as a supervisor does, then what they stand on, then every instance they started."""
        self.end_workers()
        ended(self._host)
        self.temporal.end()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()


def ended(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Ask them to end, and kill what has not after a while."""
    for each in processes:
        each.terminate()
    for each in processes:
        with suppress(subprocess.TimeoutExpired):
            each.wait(timeout=40)
        each.kill()
        each.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own addresses
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
