"""Rollouts per second, bare workflows per second, and how large a rollout's history becomes."""

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import psutil
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle

from activities.guards import guard_start
from benchmarks.bare import Bare, Calls, call
from benchmarks.bare import Call as BareCall
from benchmarks.memory_world import CANDIDATE, MemoryWorld
from models.catalog import BlueGreenPlan, CanaryPlan, CanaryStep, RollingPlan, RolloutPlan, Service
from models.deployment import ProcessDeployment
from models.guard import Holder, LeaseKind, LeaseOutcome, Release
from models.ids import ServiceRef, rollout_id
from models.quantities import HostPort
from models.rollout import Phase, RolloutRequest, RolloutResult
from models.temporal_names import GuardUpdate, TaskQueue
from models.traffic import EnvoyTraffic
from runtime.client import connect
from runtime.settings import Settings
from workers.groups import Group
from workers.run import build_worker
from workers.wiring import Adapters
from workflows.rollout import Rollout
from workflows.rollout_attributes import search_attributes

AT_ONCE = timedelta(milliseconds=1)
"""Not 0, which would leave the watch out."""

PLANS: dict[str, RolloutPlan] = {
    "canary": CanaryPlan(steps=tuple(CanaryStep(weight=weight, bake=AT_ONCE) for weight in (10.0, 50.0))),
    "blue-green": BlueGreenPlan(bake=AT_ONCE),
    "rolling": RollingPlan(bake=AT_ONCE),
}
Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Size:
    """What one rollout is made of, the workflow that writes its last picture included."""

    calls: tuple[BareCall, ...]
    events: int


@dataclass(frozen=True)
class Cost:
    """How long one workflow took when as many as asked for were under way, and how long processors worked for it."""

    seconds: float
    in_workers: float
    in_server: float

    @property
    def computed(self) -> float:
        return self.in_workers + self.in_server


@dataclass(frozen=True)
class Round:
    bare: Cost
    rollout: Cost

    @property
    def ratio(self) -> float:
        """Rollouts per second against bare workflows per second."""
        return self.bare.seconds / self.rollout.seconds

    @property
    def computed_ratio(self) -> float:
        """The same by the time that processors worked, which others lengthen less than they do the wall's time."""
        return self.bare.computed / self.rollout.computed


@dataclass(frozen=True)
class Rates:
    rounds: tuple[Round, ...]
    sizes: tuple[Size, ...]
    bare_calls: int

    @property
    def ratio(self) -> float:
        return statistics.median(each.ratio for each in self.rounds)

    @property
    def computed_ratio(self) -> float:
        return statistics.median(each.computed_ratio for each in self.rounds)

    @property
    def events(self) -> int:
        """The longest history's."""
        return max(size.events for size in self.sizes)


class Stand:
    """Every group's worker in this process, with the product's own options, on a world in memory."""

    def __init__(self, client: Client, world: MemoryWorld) -> None:
        self._client = client
        self._world = world

    async def rollout(self, plan: RolloutPlan) -> Handle:
        """One rollout of a service of its own, to its end."""
        handle, ref = await self._rolled_out(_request(plan))
        await self._world.until_recorded(ref)
        return handle

    async def guarded(self, plan: RolloutPlan, count: int, flight: int) -> list[RolloutRequest]:
        """What to roll out, of services that were rolled out before: a guard begins once and then runs for ever."""
        requests = [_request(plan) for _ in range(count)]

        async def one(request: RolloutRequest) -> None:
            nobody = Holder(workflow_id=rollout_id(request.ref), run_id="none")
            await self._client.execute_update_with_start_workflow(
                GuardUpdate.RELEASE,
                Release(ref=request.ref, kind=LeaseKind.ROLLOUT, holder=nobody, outcome=LeaseOutcome.PROMOTED),
                start_workflow_operation=guard_start(request.ref),
            )

        await _in_flight([partial(one, request) for request in requests], flight)
        return requests

    async def rollouts(self, requests: Sequence[RolloutRequest], flight: int) -> list[Handle]:
        """With at most `flight` under way; returns once the last picture of each is written."""
        done = await _in_flight([partial(self._rolled_out, request) for request in requests], flight)
        for _, ref in done:
            await self._world.until_recorded(ref)
        return [handle for handle, _ in done]

    async def bare(self, calls: Calls, count: int, flight: int) -> None:
        async def one() -> None:
            await self._client.execute_workflow(
                Bare.run, calls, id=f"bare-{uuid.uuid4().hex}", task_queue=TaskQueue.ROLLOUTS
            )

        await _in_flight([one] * count, flight)

    async def size(self, handle: Handle) -> Size:
        """What is in its history, and the activity of its recording."""
        events = [event async for event in handle.fetch_history_events()]
        own = _calls(events)
        (child,) = (
            event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            for event in events
            if event.HasField("start_child_workflow_execution_initiated_event_attributes")
        )
        recording = self._client.get_workflow_handle(child)
        await recording.result()
        recorded = [event async for event in recording.fetch_history_events()]
        return Size(calls=(*own, *_calls(recorded)), events=len(events))

    async def start(self, plan: RolloutPlan) -> WorkflowHandle[Rollout, RolloutResult]:
        return await self._start(_request(plan))

    async def _start(self, request: RolloutRequest) -> WorkflowHandle[Rollout, RolloutResult]:
        return await self._client.start_workflow(
            Rollout.run,
            request,
            id=rollout_id(request.ref),
            task_queue=TaskQueue.ROLLOUTS,
            static_summary=f"{request.spec.rollout.strategy} {request.ref.service}",
            search_attributes=search_attributes(request),
        )

    async def _rolled_out(self, request: RolloutRequest) -> tuple[Handle, ServiceRef]:
        handle = await self._start(request)
        result = await handle.result()
        assert result.outcome is Phase.PROMOTED, result
        return handle, request.ref


async def measure(
    stand: Stand, plan: RolloutPlan, *, rounds: int, count: int, flight: int, say: Callable[[str], None]
) -> Rates:
    """Warm up, then measure both in turns, each first every other time."""
    warm = await stand.rollouts(await stand.guarded(plan, flight, flight), flight)
    typical = sorted([await stand.size(handle) for handle in warm], key=lambda size: len(size.calls))[flight // 2]
    calls = Calls(calls=typical.calls)
    await stand.bare(calls, flight, flight)
    measured, handles = [], []
    for number in range(rounds):
        requests = await stand.guarded(plan, count, flight)

        async def ours(requests: Sequence[RolloutRequest] = requests) -> None:
            handles.extend(await stand.rollouts(requests, flight))

        async def bare() -> None:
            await stand.bare(calls, count, flight)

        turns = (ours, bare) if number % 2 else (bare, ours)
        costs = {turn.__name__: await _cost(turn, count) for turn in turns}
        one = Round(bare=costs["bare"], rollout=costs["ours"])
        say(
            f"  {1 / one.bare.seconds:6.2f} bare/s  {1 / one.rollout.seconds:6.2f} rollouts/s  ratio {one.ratio:.2f}, "
            f"of processor time {one.computed_ratio:.2f}, load average {os.getloadavg()[0]:.1f}"
        )
        measured.append(one)
    sizes = [await stand.size(handle) for handle in handles[-flight:]]
    return Rates(rounds=tuple(measured), sizes=tuple(sizes), bare_calls=len(typical.calls))


@asynccontextmanager
async def a_stand(
    address: HostPort, world: MemoryWorld, *, without: frozenset[str] = frozenset(), watches: int | None = None
) -> AsyncIterator[Stand]:
    """`without` are queues that are served elsewhere; `watches` is how many activities about traffic run at once."""
    client = await connect(Settings(temporal_address=address))
    groups = world.groups()
    if watches:
        groups[TaskQueue.TRAFFIC] = replace(groups[TaskQueue.TRAFFIC], concurrent_activities=watches)
    async with AsyncExitStack() as running, Adapters(Settings()) as adapters:
        for group in groups.values():
            if group.queue not in without:
                await running.enter_async_context(build_worker(_with_bare(group, adapters), client, adapters))
        yield Stand(client, world)


def _with_bare(group: Group, adapters: Adapters) -> Group:
    """The same worker also serves the bare workflow: its activities where a rollout's are."""
    if group.queue == TaskQueue.ROLLOUTS:
        return replace(group, workflows=(*group.workflows, Bare))
    activities = [*group.activities(adapters), call]
    return replace(group, activities=lambda _: activities)


async def _in_flight(jobs: Sequence[Callable[[], Awaitable[Any]]], flight: int) -> list[Any]:
    places = asyncio.Semaphore(flight)

    async def in_place(job: Callable[[], Awaitable[Any]]) -> Any:
        async with places:
            return await job()

    return await asyncio.gather(*map(in_place, jobs))


async def _cost(turn: Callable[[], Awaitable[None]], count: int) -> Cost:
    began, workers, server = time.monotonic(), time.process_time(), _children_computed()
    await turn()
    return Cost(
        seconds=(time.monotonic() - began) / count,
        in_workers=(time.process_time() - workers) / count,
        in_server=(_children_computed() - server) / count,
    )


def _children_computed() -> float:
    """Seconds of processor time of Temporal and its database, which are this process' only children."""
    used = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = child.cpu_times()
            used += times.user + times.system
    return used


def _calls(events: list[HistoryEvent]) -> tuple[BareCall, ...]:
    answers = {
        done.scheduled_event_id: sum(len(payload.data) for payload in done.result.payloads)
        for event in events
        if event.HasField("activity_task_completed_event_attributes")
        for done in [event.activity_task_completed_event_attributes]
    }
    return tuple(
        BareCall(
            queue=asked.task_queue.name,
            asked=sum(len(payload.data) for payload in asked.input.payloads),
            answered=answers.get(event.event_id, 0),
        )
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
        for asked in [event.activity_task_scheduled_event_attributes]
    )


def _request(plan: RolloutPlan) -> RolloutRequest:
    return RolloutRequest(
        id=uuid.uuid4().hex,
        ref=ServiceRef(environment="local", service=f"shop-{uuid.uuid4().hex[:12]}"),
        version=CANDIDATE,
        spec=Service(
            deploy=ProcessDeployment(command=("serve", "{port}"), instances=2),
            traffic=EnvoyTraffic(listen="127.0.0.1:18080"),
            rollout=plan,
        ),
        requested_by="ada",
        from_where="command@laptop",
    )
