"""The traffic's worker alone in its process and on one core. Started by `benchmarks.watches`.

`python -m benchmarks.watches_worker TEMPORAL ENVOY HOME` says `working` once it polls, and runs until it is terminated.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models.temporal_names import TaskQueue
from runtime.client import connect
from runtime.settings import Settings
from workers.groups import groups_named
from workers.run import build_worker
from workers.wiring import Adapters


async def main(arguments: Sequence[str]) -> None:
    temporal, envoy, home = arguments
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    settings = Settings(temporal_address=temporal, envoy_admin=envoy, home=Path(home))
    (group,) = groups_named([TaskQueue.TRAFFIC])
    async with Adapters(settings) as adapters:
        client = await connect(settings)
        async with build_worker(group, client, adapters):
            print("working", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
