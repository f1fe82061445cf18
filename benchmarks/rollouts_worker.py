"""The rollouts' worker alone in its process, to see how much memory it takes. Started by `benchmarks.rollouts_memory`.

`python -m benchmarks.rollouts_worker ADDRESS CACHED` says `working` once it polls, and runs until it is terminated.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace

from models.temporal_names import TaskQueue
from runtime.client import connect
from runtime.settings import Settings
from workers.groups import groups_named
from workers.run import build_worker
from workers.wiring import Adapters


async def main(arguments: Sequence[str]) -> None:
    address, cached = arguments
    (group,) = groups_named([TaskQueue.ROLLOUTS])
    async with Adapters(Settings()) as adapters:
        client = await connect(Settings(temporal_address=address))
        async with build_worker(replace(group, cached_workflows=int(cached)), client, adapters):
            print("working", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
