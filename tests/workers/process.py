"""A worker as an operating-system process, as people and supervisors run it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from models.quantities import HostPort
from tests.workers.dev_server import free_port
from tests.workers.eventually import eventually
from tests.workers.test_health import ask

REPOSITORY = Path(__file__).parents[2]


class WorkerProcess:
    def __init__(self, process: asyncio.subprocess.Process, log: Path, health: HostPort, metrics: HostPort) -> None:
        self._process = process
        self._log = log
        self.health = health
        self.metrics = metrics

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self._process.wait(), 20)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    async def said(self, text: str) -> dict[str, Any]:
        """The first log line whose message contains `text`."""

        async def look() -> dict[str, Any] | None:
            return next((line for line in self.lines() if text in line["message"]), None)

        return await eventually(look)

    async def ready(self) -> None:
        async def look() -> bool:
            try:
                return (await asyncio.to_thread(ask, self.health, "/readyz"))[0] == 200
            except OSError:
                return False

        await eventually(look)


@asynccontextmanager
async def worker_process(
    queue: str, folder: Path, temporal: HostPort, drain: float = 10
) -> AsyncIterator[WorkerProcess]:
    """Run `tests.workers.sample_worker`; whatever is left of it when the block ends is killed."""
    health, metrics, log = free_port(), free_port(), folder / "worker.log"
    environment = os.environ | {
        "HOLDFAST_TEMPORAL_ADDRESS": temporal,
        "HOLDFAST_HOME": str(folder / "home"),
        "HOLDFAST_WORKER_HEALTH_PORT": str(health),
        "HOLDFAST_WORKER_METRICS_PORT": str(metrics),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.workers.sample_worker", queue, str(drain),
            cwd=REPOSITORY, env=environment, stderr=output,
        )  # fmt: skip
    try:
        yield WorkerProcess(process, log, f"127.0.0.1:{health}", f"127.0.0.1:{metrics}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
