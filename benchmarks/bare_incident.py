"""The least that can be told of an alert: what `make bench-alerts` holds incidents against.

`python -m benchmarks.bare_incident ADDRESS` serves it, says `working` once it polls, and runs until it is terminated.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

with workflow.unsafe.imports_passed_through():
    from models.base import Payload
    from models.temporal_names import TaskQueue
    from runtime.client import connect
    from runtime.settings import Settings
    from workers.groups import groups_named

QUEUE = "bare-incidents"


class Filler(Payload):
    filler: str

    @classmethod
    def of(cls, size: int) -> "Filler":
        """One that takes so many bytes as JSON."""
        return cls(filler="x" * max(0, size - len(cls(filler="").model_dump_json())))


@workflow.defn(name="bare-incident")
class BareIncident:
    """Counts what it is told, and does nothing else."""

    def __init__(self) -> None:
        self._count = 0

    @workflow.run
    async def run(self, _begins_with: Filler) -> int:
        await workflow.wait_condition(lambda: False)
        return self._count

    @workflow.signal
    def fired(self, _said: Filler) -> None:
        self._count += 1


async def signal_with_start(client: Client, workflow_id: str, begins_with: Filler, said: Filler) -> None:
    await client.start_workflow(
        BareIncident.run,
        begins_with,
        id=workflow_id,
        task_queue=QUEUE,
        start_signal="fired",
        start_signal_args=[said],
        rpc_timeout=timedelta(seconds=20),
    )


async def main(arguments: Sequence[str]) -> None:
    (address,) = arguments
    (ours,) = groups_named([TaskQueue.INCIDENTS])
    client = await connect(Settings(temporal_address=address))
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareIncident],
        max_concurrent_workflow_tasks=ours.concurrent_workflow_tasks,
        max_cached_workflows=ours.cached_workflows,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(ours.polls),
        nonsticky_to_sticky_poll_ratio=ours.polls_for_new,
    ):
        print("working", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
