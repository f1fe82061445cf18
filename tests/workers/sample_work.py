"""Workflows and activities to exercise a worker with; in a module of their own, as the sandbox imports it again."""

import asyncio
import logging
from concurrent.futures import BrokenExecutor
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.base import Payload

ONCE = RetryPolicy(maximum_attempts=1)


class Errand(Payload):
    """What to do in `folder`: the activity writes `diary` there and waits for the file `go`."""

    folder: str


class Mishap(Payload):
    """What goes wrong: `bug`, `refusal` or `breakdown` (which ends a worker), in the workflow or in its activity."""

    where: str
    kind: str


@activity.defn(name="sample.errand")
async def errand(asked: Errand) -> str:
    folder = Path(asked.folder)
    _write(folder, "begun")
    logging.getLogger("sample.provider").info("out on an errand")
    steps = 0
    try:
        while not (folder / "go").exists():
            steps += 1
            activity.heartbeat(steps)
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        _write(folder, "cut short" if activity.is_worker_shutdown() else "cancelled")
        raise
    _write(folder, "done")
    return "done"


@activity.defn(name="sample.mishap")
async def mishap(asked: Mishap) -> None:
    await _go_wrong(asked)


@workflow.defn(name="SampleErrand", failure_exception_types=[ValidationError])
class SampleErrand:
    @workflow.run
    async def run(self, asked: Errand) -> str:
        workflow.logger.info("sending someone out")
        return await workflow.execute_activity(
            errand,
            asked,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=5),
            retry_policy=ONCE,
        )


@workflow.defn(name="SampleMishap")
class SampleMishap:
    @workflow.run
    async def run(self, asked: Mishap) -> None:
        if asked.where == "workflow":
            await _go_wrong(asked)
        await workflow.execute_activity(mishap, asked, start_to_close_timeout=timedelta(seconds=5), retry_policy=ONCE)


@workflow.defn(name="SampleClockReader")
class SampleClockReader:
    @workflow.run
    async def run(self) -> str:
        return Path("holdfast.yaml").read_text()


async def _go_wrong(asked: Mishap) -> None:
    hidden = "hunter2"
    if asked.kind == "refusal":
        raise ApplicationError("no, thank you", non_retryable=True)
    if asked.kind == "breakdown":
        raise BrokenExecutor("the pool is broken")
    raise ValueError(f"a bug among {len(hidden)} letters")


def _write(folder: Path, line: str) -> None:
    with (folder / "diary").open("a") as diary:
        diary.write(line + "\n")
