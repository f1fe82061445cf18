"""Everything between an alert and a page, each part a process of its own as in production, on one Temporal."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.alert_sink import Sink, a_sink
from benchmarks.stage import HOLDFAST, ROOT
from benchmarks.temporal_servers import Database, temporal_on
from models.catalog import Catalog
from models.quantities import HostPort
from models.temporal_names import TaskQueue
from runtime.catalog_file import load_catalog

GATEWAY = "gateway"
WORKERS = (TaskQueue.INCIDENTS, TaskQueue.NOTIFICATIONS, TaskQueue.RECORDS)
_GRACE_SECONDS = 40
_LISTENS = re.compile(rb"listens on http://(127\.0\.0\.1:\d+);")
_QUIET = 0.1
"""Of a processor: what the parts take together once there is nothing left to do."""

_LOOK_SECONDS = 0.5
_QUIET_LOOKS = 3


@dataclass
class Stage:
    temporal: HostPort
    sink: Sink
    folder: Path
    catalog: Catalog
    gateway: HostPort = ""
    parts: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOLDFAST_HOME": str(self.folder),
            "HOLDFAST_CATALOG": str(self.folder / "holdfast.yaml"),
            "HOLDFAST_TEMPORAL_ADDRESS": self.temporal,
        }

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.parts[name] = process
        return process

    def computed(self) -> dict[str, float]:
        """Seconds of processor time that each part has used."""
        used = {name: _computed(psutil.Process(process.pid)) for name, process in self.parts.items()}
        others = [child for child in psutil.Process().children() if child.pid not in self._pids]
        used["temporal"] = sum(map(_computed, others))
        return used

    def memory(self, name: str) -> float:
        """Resident megabytes of a part."""
        return psutil.Process(self.parts[name].pid).memory_info().rss / 1e6

    async def settled(self) -> float:
        """Wait until no part has anything to do any more; returns when that began, in monotonic seconds."""
        looks, since = 0, time.monotonic()
        before = sum(self.computed().values())
        while looks < _QUIET_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            now = sum(self.computed().values())
            if now - before < _QUIET * _LOOK_SECONDS:
                looks += 1
            else:
                looks, since = 0, time.monotonic()
            before = now
        return since

    @property
    def _pids(self) -> set[int]:
        return {process.pid for process in self.parts.values()}

    def end(self) -> None:
        for process in reversed(self.parts.values()):
            process.terminate()
        for process in self.parts.values():
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _computed(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        family = [process, *process.children(recursive=True)]
        return sum(times.user + times.system for each in family for times in [each.cpu_times()])
    return 0.0


@asynccontextmanager
async def a_stage(
    *,
    database: Database = Database.SQLITE,
    levels: Sequence[dict[str, Any]] = ({"notify": ["sink"], "wait": "12h"},),
    more: Sequence[tuple[str, Sequence[str]]] = (),
) -> AsyncIterator[Stage]:
    """`levels` are those of the policy; its target `sink` is the stage's. `more` are programs with their names."""
    with tempfile.TemporaryDirectory(prefix="holdfast-alerts-") as folder:
        async with temporal_on(database) as address, a_sink() as sink:
            file = Path(folder) / "holdfast.yaml"
            file.write_text(json.dumps(a_catalog(sink.address, levels)))
            stage = Stage(address, sink, Path(folder), load_catalog(file))
            try:
                for queue in WORKERS:
                    stage.start(f"worker {queue}", *HOLDFAST, "worker", queue)
                gateway = stage.start(GATEWAY, *HOLDFAST, "gateway", "--port", "0")
                stage.gateway = await asyncio.to_thread(_listening, gateway)
                for name, words in more:
                    started = stage.start(name, sys.executable, *words, address)
                    assert started.stdout
                    await asyncio.to_thread(started.stdout.readline)
                yield stage
            finally:
                await asyncio.to_thread(stage.end)


def a_catalog(sink: HostPort, levels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Nothing is held back: what would be a storm or too many requests is what is measured here."""
    return {
        "version": 1,
        "services": {
            "shop": {
                "deploy": {"command": ["run", "{port}"]},
                "traffic": {"listen": "127.0.0.1:18080"},
                "rollout": {"steps": [{"weight": "10%", "bake": "1s"}]},
            }
        },
        "gateway": {"rate": {"per_second": 100_000, "burst": 1_000_000}},
        "incidents": {
            "storm": {"incidents": 100_000},
            "policies": {"default": {"levels": list(levels), "repeat": 0}},
            "targets": {"sink": {"kind": "webhook", "url": f"http://{sink}/"}},
        },
    }


def _listening(gateway: "subprocess.Popen[bytes]") -> HostPort:
    assert gateway.stdout
    said = gateway.stdout.readline()
    found = _LISTENS.search(said)
    if found is None:
        raise RuntimeError(f"the gateway did not begin to listen: {said.decode()!r}")
    return found[1].decode()
