"""The silences of an environment that no other test uses."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.silence_board import order_silences, read_silences
from models.ids import silences_id
from models.incident_spec import Silence
from models.silences import AddSilence, ExpireSilence, KeptSilence, SilencesState
from models.temporal_names import TaskQueue
from tests.workflows.harness import until
from workflows.silences import Silences

PATIENCE = timedelta(seconds=20)


def silence(name: str, **said: object) -> Silence:
    written = {"name": name, "match": "service=shop", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00", **said}
    return Silence.model_validate(written)


class Quiet:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.environment = f"env-{uuid.uuid4().hex[:8]}"

    @property
    def handle(self) -> WorkflowHandle[Silences, None]:
        return self.client.get_workflow_handle_for(Silences.run, silences_id(self.environment))

    async def begin(self, *, updates_per_run: int) -> str:
        """Start it before anybody asks, with runs so short; returns the first run."""
        state = SilencesState(environment=self.environment, updates_per_run=updates_per_run)
        await self.client.start_workflow(
            Silences.run, state, id=silences_id(self.environment), task_queue=TaskQueue.INCIDENTS
        )
        return (await self.handle.describe()).run_id

    async def add(self, name: str, by: str = "ada", **said: object) -> KeptSilence:
        order = AddSilence(spec=silence(name, **said), by=by, from_where="command@test")
        return await order_silences(self.client, self.environment, order, PATIENCE)

    async def expire(self, name: str, by: str = "ada") -> KeptSilence:
        return await order_silences(self.client, self.environment, ExpireSilence(id=name, by=by), PATIENCE)

    async def read(self) -> tuple[KeptSilence, ...]:
        return await read_silences(self.client, self.environment, PATIENCE)

    async def ids(self) -> list[str]:
        return [each.id for each in await self.read()]

    async def until_run_ends(self, run_id: str) -> None:
        async def another() -> bool:
            return (await self.handle.describe()).run_id != run_id

        await until(another, "the silences to continue as new")


@asynccontextmanager
async def keeping_silences(client: Client) -> AsyncIterator[Quiet]:
    """With a worker that keeps them."""
    async with Worker(client, task_queue=TaskQueue.INCIDENTS, workflows=[Silences]):
        yield Quiet(client)
