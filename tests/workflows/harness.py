"""Runs a rollout in a fake world on the time-skipping server."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.guards import GuardActivities
from models.ids import ServiceRef, rollout_id
from models.rollout import Acknowledgement, Instruction, Phase, RolloutRequest, RolloutResult, RolloutState
from models.temporal_names import SearchAttribute, TaskQueue
from runtime.plugin import holdfast_plugin
from tests.factories import SERVER_STARTS_WITHIN, a_request
from tests.workflows.fake_source import FakeWatch
from tests.workflows.world import FakeWorld, Worlds
from workflows.recording import Recording
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard

ADA = Instruction(by="ada")
SELDOM = 0.2
"""Seconds."""
Handle = WorkflowHandle[Rollout, RolloutResult]


class Bench:
    """A time-skipping server with one worker per queue, as in production, shared by all tests of a process."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.client = environment.client
        self.skip = environment.sleep
        self.now = environment.get_current_time
        self.worlds = Worlds()
        self.rule_source = FakeWatch()
        self._workers = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._workers.enter_async_context(Worker(self.client, task_queue=TaskQueue.ROLLOUTS, workflows=[Rollout]))
        for queue in (TaskQueue.DEPLOYS, TaskQueue.TRAFFIC):
            await self._workers.enter_async_context(
                Worker(
                    self.client,
                    task_queue=queue,
                    activities=[*self.worlds.registered, self.rule_source.watch],
                    max_heartbeat_throttle_interval=timedelta(milliseconds=100),
                    default_heartbeat_throttle_interval=timedelta(milliseconds=100),
                )
            )
        await self._workers.enter_async_context(
            Worker(
                self.client,
                task_queue=TaskQueue.GUARDS,
                workflows=[ServiceGuard],
                activities=GuardActivities().registered,
            )
        )
        await self._workers.enter_async_context(
            Worker(
                self.client,
                task_queue=TaskQueue.RECORDS,
                workflows=[Recording],
                activities=self.worlds.registered,
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._workers.aclose()

    async def start(self, world: FakeWorld, request: RolloutRequest | None = None) -> Handle:
        """Start a rollout in this world, of a service that no other test uses."""
        ref = ServiceRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}")
        return await self.begin(world, (request or a_request()).model_copy(update={"ref": ref}))

    async def begin(self, world: FakeWorld, request: RolloutRequest) -> Handle:
        """Start a rollout of the service that the request names."""
        ref = request.ref
        self.worlds.by_service[ref.service] = world
        return await self.client.start_workflow(Rollout.run, request, id=rollout_id(ref), task_queue=TaskQueue.ROLLOUTS)


@asynccontextmanager
async def running_bench(test_server: Path) -> AsyncIterator[Bench]:
    """A bench on a server of its own, with the search attributes that rollouts set."""
    async with _bench_on(
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(test_server),
            test_server_startup_timeout=SERVER_STARTS_WITHIN,
            plugins=[holdfast_plugin()],
        )
    ) as bench:
        yield bench


@asynccontextmanager
async def running_real_bench(temporal_cli: Path) -> AsyncIterator[Bench]:
    """A bench on a real server, whose clock is the wall's."""
    async with _bench_on(
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(temporal_cli),
            dev_server_startup_timeout=SERVER_STARTS_WITHIN,
            plugins=[holdfast_plugin()],
        )
    ) as bench:
        yield bench


@asynccontextmanager
async def _bench_on(environment: WorkflowEnvironment) -> AsyncIterator[Bench]:
    async with environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes=dict.fromkeys(SearchAttribute, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
        async with Bench(environment) as bench:
            yield bench


async def state(handle: Handle) -> RolloutState:
    return await handle.query(Rollout.state)


async def until_phase(handle: Handle, phase: Phase) -> RolloutState:
    async def reached() -> bool:
        return (await state(handle)).phase is phase

    await until(reached, f"the rollout to be {phase}")
    return await state(handle)


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within: float = 60) -> None:
    """Wait for a condition in real time, asking ever less often; fail the test when it does not come true."""
    pause = 0.02
    try:
        async with asyncio.timeout(within):
            while not await condition():
                await asyncio.sleep(pause)
                pause = min(1.3 * pause, SELDOM)
    except TimeoutError:
        pytest.fail(f"waited {within} s for {what}")


async def refused(order: Awaitable[Acknowledgement]) -> str:
    """Why an order was refused."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await order
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause.message
