"""A part of `make bench-rollouts`: what it counts is right. How fast it is depends on the machine, and is not asked."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from benchmarks.memory_world import MemoryWorld
from benchmarks.rollouts import EVENTS_AT_MOST
from benchmarks.rollouts_memory import AT_A_GATE, measure_memory
from benchmarks.rollouts_rate import PLANS, Stand, a_stand, measure
from benchmarks.temporal_servers import Database, temporal_on
from models.quantities import HostPort
from models.rollout import Instruction
from models.temporal_names import TaskQueue
from workflows.rollout import Rollout


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address() -> AsyncIterator[HostPort]:
    async with temporal_on(Database.SQLITE) as serving:
        yield serving


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest_asyncio.fixture(loop_scope="session")
async def stand(address: HostPort, world: MemoryWorld) -> AsyncIterator[Stand]:
    async with a_stand(address, world) as running:
        yield running


@pytest.mark.parametrize(
    "plan", [pytest.param(plan, marks=() if plan == "canary" else pytest.mark.full) for plan in PLANS]
)
async def test_a_bare_workflow_has_as_many_activities_as_a_rollout(stand: Stand, address: HostPort, plan: str) -> None:
    said: list[str] = []
    rates = await measure(stand, PLANS[plan], rounds=1, count=2, flight=2, say=said.append)

    assert len(rates.rounds) == len(said) == 1
    assert rates.ratio > 0
    for size in rates.sizes:
        assert size.events <= EVENTS_AT_MOST
        queues = Counter(call.queue for call in size.calls)
        assert set(queues) == {TaskQueue.DEPLOYS, TaskQueue.TRAFFIC, TaskQueue.GUARDS, TaskQueue.RECORDS}
        assert queues[TaskQueue.GUARDS] == 2, "the guard is asked and told"
    assert await _scheduled(await Client.connect(address)) == rates.bare_calls


async def _scheduled(client: Client) -> int:
    """How many activities the newest bare workflow had."""
    newest = [found async for found in client.list_workflows('WorkflowType = "bare"', limit=1)]
    history = await client.get_workflow_handle(newest[0].id).fetch_history()
    return sum(event.HasField("activity_task_scheduled_event_attributes") for event in history.events)


@pytest.mark.full
async def test_rollouts_at_a_gate_are_open_until_a_person_approves(stand: Stand, world: MemoryWorld) -> None:
    handles = [await stand.start(AT_A_GATE) for _ in range(2)]
    await world.until_watched(2)

    for handle in handles:
        await handle.execute_update(Rollout.approve, Instruction(by="ada"))
    assert [(await handle.result()).outcome for handle in handles] == ["promoted"] * 2


@pytest.mark.full
async def test_memory_is_weighed_with_rollouts_open(address: HostPort) -> None:
    weighed = await measure_memory(address, count=5, cached=10)

    assert weighed.open_rollouts == 5
    assert weighed.before > 20
    assert weighed.after >= weighed.before * 0.9
