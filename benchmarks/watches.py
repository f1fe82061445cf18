"""How many rollouts can one worker process judge each second, on one core? `make bench-watches`.

One traffic worker, kept to one core, watches as many canaries as asked for at a tick of one second: as in the product,
through Temporal, with the counters of a real Envoy, the look at instances and a heartbeat for each look. What else
runs (Temporal on SQLite, Envoy, users) has the other cores. Printed are the looks a second that each watch had, what of
its core the worker took, and how much of a core a look takes: on a machine that is shared with others the last is the
figure to go by, as the worker may not have been given more than it took.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from benchmarks.stage import ROOT
from benchmarks.temporal_servers import Database, temporal_on
from benchmarks.watch_alone import WatchAlone
from benchmarks.watches_envoy import VERSIONS, ManyRoutes
from examples.stagehand import Stagehand
from models.deployment import ProcessDeployment
from models.ids import ServiceRef
from models.judge_spec import CompareSpec, EnvoyMetrics, JudgeSpec
from models.judgement import Verdict, Watch, WatchProgress
from runtime.client import connect
from runtime.settings import Settings

TICK = timedelta(seconds=1)
FEWEST_LOOKS = 0.95
"""A second, of each watch: at a tick of 1 s one look in twenty may be missed."""
QUEUE = "benchmark-watches"
USERS_A_SECOND = 200
_FLIGHT = 50
_PATIENCE_SECONDS = 400.0


Handle = WorkflowHandle[WatchAlone, Verdict]


@dataclass(frozen=True)
class Measured:
    """`looks`: a second, of the slowest watch, the median and the fastest. `blind`: how many had a look that failed."""

    watches: int
    seconds: float
    looks: tuple[float, float, float]
    core_share: float
    memory_mb: float
    blind: int

    @property
    def milliseconds(self) -> float:
        """Of a processor, for one look and all that belongs to it."""
        return self.core_share / (self.watches * self.looks[1]) * 1000 if self.looks[1] > 0 else 0.0

    @property
    def held(self) -> bool:
        return self.looks[0] >= FEWEST_LOOKS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watches", description=__doc__.splitlines()[0])
    parser.add_argument("--watches", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        measured = asyncio.run(measure(Path(folder), options.watches, options.seconds))
    if options.json:
        print(json.dumps(asdict(measured) | {"milliseconds": measured.milliseconds, "held": measured.held}, indent=2))
    else:
        tell(measured)
    return 0 if measured.held else 1


async def measure(folder: Path, watches: int, seconds: float) -> Measured:
    refs = [ServiceRef(environment="local", service=f"shop-{number}") for number in range(watches)]
    routes = ManyRoutes.of(refs, folder)
    async with temporal_on(Database.SQLITE) as address:
        with Stagehand(ROOT, {}) as stagehand:
            stagehand.start("Envoy", routes.command, folder / "envoy.log")
            await asyncio.to_thread(stagehand.wait, routes.is_ready)
            users = ("-m", "examples.shop.traffic", "--url", f"http://{routes.listen}", "--rate", str(USERS_A_SECOND))
            stagehand.start("the users", (sys.executable, *users), folder / "users.log")
            command = (sys.executable, "-m", "benchmarks.watches_worker", address, routes.admin, str(folder))
            stagehand.start("the worker", command, folder / "worker.log")
            await asyncio.to_thread(stagehand.wait, lambda: (folder / "worker.log").read_text().startswith("working"))
            client = await connect(Settings(temporal_address=address))
            async with Worker(client, task_queue=QUEUE, workflows=[WatchAlone], max_cached_workflows=watches):
                handles = await _started(client, refs)
                return await _measure(handles, _process(command), seconds)


async def _measure(handles: Sequence[Handle], worker: psutil.Process, seconds: float) -> Measured:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while any(progress.ticks == 0 for progress in await _seen(handles)):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(1)
    _say(f"all {len(handles)} watches look; measuring for {seconds:g} s")
    before, began, computed = await _seen(handles), time.monotonic(), _computed(worker)
    await asyncio.sleep(seconds)
    core_share = (_computed(worker) - computed) / (time.monotonic() - began)
    after = await _seen(handles)
    looks = sorted(_looks(*each) for each in zip(before, after, strict=True))
    return Measured(
        watches=len(handles),
        seconds=seconds,
        looks=(looks[0], statistics.median(looks), looks[-1]),
        core_share=core_share,
        memory_mb=worker.memory_info().rss / 1024 / 1024,
        blind=sum(progress.blind > timedelta() for progress in after),
    )


def _looks(before: WatchProgress, after: WatchProgress) -> float:
    """A second, by the watch's own clock."""
    took = (after.watched + after.blind - before.watched - before.blind).total_seconds()
    return (after.ticks - before.ticks) / took if took > 0 else 0.0


async def _seen(handles: Sequence[Handle]) -> list[WatchProgress]:
    found = []
    for begun in range(0, len(handles), _FLIGHT):
        found += await asyncio.gather(*map(_progress, handles[begun : begun + _FLIGHT]))
    return found


async def _progress(handle: Handle) -> WatchProgress:
    """By its newest heartbeat."""
    description = await handle.describe()
    for pending in description.raw_description.pending_activities:
        if pending.heartbeat_details.payloads:
            (progress,) = await description.data_converter.decode(pending.heartbeat_details.payloads, [WatchProgress])
            assert isinstance(progress, WatchProgress)
            return progress
    return WatchProgress()


async def _started(client: Client, refs: Sequence[ServiceRef]) -> list[Handle]:
    handles = []
    for begun in range(0, len(refs), _FLIGHT):
        handles += await asyncio.gather(*(_start(client, ref) for ref in refs[begun : begun + _FLIGHT]))
    return handles


async def _start(client: Client, ref: ServiceRef) -> Handle:
    stable, candidate = VERSIONS
    watch = Watch(
        ref=ref,
        metrics=EnvoyMetrics(),
        judge=JudgeSpec(tick=TICK, compare=CompareSpec(latency="p99")),
        deploy=ProcessDeployment(command=("shop", "{port}")),
        stable=stable,
        candidate=candidate,
        bake=None,
    )
    return await client.start_workflow(WatchAlone.run, watch, id=f"{ref}-{uuid.uuid4()}", task_queue=QUEUE)


def _process(command: Sequence[str]) -> psutil.Process:
    for child in psutil.Process().children(recursive=True):
        if child.cmdline()[1:] == list(command)[1:]:
            return child
    raise LookupError("the worker is gone")


def _computed(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def tell(measured: Measured) -> None:
    least, median, most = measured.looks
    print(
        f"{measured.watches} watches by one worker on one core, for {measured.seconds:g} s: {median:.3f} looks a "
        f"second each in the median, {least:.3f} to {most:.3f} ({FEWEST_LOOKS:g} is asked for); "
        f"{measured.core_share:.0%} of the core, {measured.milliseconds:.2f} ms a look, {measured.memory_mb:.0f} MB; "
        f"{measured.blind} watches had a look that failed."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
