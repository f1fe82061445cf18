"""Record the histories that replay tests hold workflow code against: `make record`, after a new path was added.

A history once released is kept: this writes those that are missing, and with --again those named after it.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowHistory

from devstack.test_server import find_test_server
from runtime.settings import Settings
from tests.replay.scenarios import SCENARIOS
from tests.workflows.harness import running_bench

HISTORIES = Path(__file__).parent / "histories"


async def main(again: list[str]) -> None:
    due = [name for name in SCENARIOS if name in again or not (HISTORIES / f"{name}.json").exists()]
    if not due:
        print("Every scenario is recorded.")  # noqa: T201 - a command's output
        return
    server = await find_test_server(cache_dir=Settings().cache_dir, say=print)
    for name in due:
        # A server for each, as what one scenario cancels may stop the clock for the next.
        async with running_bench(server) as bench:
            handle: WorkflowHandle[Any, Any] = await SCENARIOS[name].play(bench)
            history: WorkflowHistory = await handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(history.to_json())
            print(f"{name}: {len(history.events)} events")  # noqa: T201 - a command's output


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2:] if sys.argv[1:2] == ["--again"] else []))
    sys.stdout.flush()
    os._exit(0)  # the SDK's core may abort an interpreter that shuts down (temporalio/sdk-python issue 300)
