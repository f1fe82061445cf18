"""Temporal's server on PostgreSQL, as docker-compose.temporal.yml runs it, without images."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from devstack.temporal_production import ProductionServer, find_production_server
from devstack.tether import tethered
from runtime.settings import Settings
from tests.postgres import ADMIN, PASSWORD, Postgres

SCRIPTS = Path(__file__).parents[2] / "production" / "temporal"
_SERVES_WITHIN = 60.0
_PORTS = 8


class TemporalOnPostgres:
    """A database of its own and a Temporal server on it; each can be stopped, killed and started again.

    Both use files and ports of their own, so that several may run side by side.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "temporal.log"
        self.postgres = Postgres()
        self._programs = production_programs()
        self._port = _row_of_free_ports()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def server_pid(self) -> int:
        assert self._server
        return self._server.pid

    def start(self) -> None:
        self.postgres.start()
        self.update_schema()
        self.start_server()

    def update_schema(self) -> None:
        run = subprocess.run([SCRIPTS / "schema.sh"], env=self._env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{run.stdout[-2000:]}\n{run.stderr[-2000:]}"

    def start_server(self) -> None:
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                tethered([str(SCRIPTS / "server.sh")]), env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _SERVES_WITHIN
        while not self._answers():
            assert self._server.poll() is None, f"the Temporal server ended:\n{self._log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"Temporal does not serve:\n{self._log.read_text()[-3000:]}"
            time.sleep(0.05)

    def kill_server(self) -> None:
        """As when the power goes: nothing is said to anybody."""
        self._end(signal.SIGKILL)

    def end(self) -> None:
        self._end(signal.SIGTERM)
        self.postgres.end()

    def _end(self, number: signal.Signals) -> None:
        if self._server is None or self._server.poll() is not None:
            return
        self._server.send_signal(number)
        try:
            self._server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def _env(self) -> dict[str, str]:
        return {
            "PATH": f"{self._programs.folder}:{os.environ['PATH']}",
            "SQL_HOST": "127.0.0.1",
            "SQL_PORT": str(self.postgres.port),
            "SQL_USER": ADMIN,
            "SQL_PASSWORD": PASSWORD,
            "TEMPORAL_BIND": "127.0.0.1",
            "TEMPORAL_PORT": str(self._port),
            "TEMPORAL_MEMBERSHIP_PORT": str(self._port + _PORTS // 2),
            "TEMPORAL_HISTORY_SHARDS": "4",
            "TEMPORAL_SQL_CONNECTIONS": "12",
        }


def production_programs() -> ProductionServer:
    return asyncio.run(find_production_server(cache_dir=Settings().cache_dir, say=print))


def _row_of_free_ports() -> int:
    """The first of as many consecutive ports as the server wants. Others may be faster; then it says so and ends."""
    for first in range(21_000 + os.getpid() % 1000 * 8, 30_000, _PORTS):
        with ExitStack() as held:
            try:
                for port in range(first, first + _PORTS):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no row of free ports")
