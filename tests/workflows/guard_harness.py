"""One service's guard on the bench, and workflows that ask it for leases."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar, cast

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from activities.guards import GuardActivities, guard_start
from models.base import Payload
from models.deployment import Done
from models.freezes import FreezeSpec
from models.guard import (
    Acquire,
    Freeze,
    Grant,
    GuardRules,
    GuardSpec,
    GuardState,
    LeaseKind,
    LeaseOutcome,
    Refusal,
    Release,
    RestartBudget,
    Unfreeze,
)
from models.guard import Holder as LeaseHolder
from models.ids import ServiceRef, guard_id
from models.quantities import HostPort
from models.rollout import Acknowledgement
from models.temporal_names import GuardUpdate, SearchAttribute, TaskQueue
from runtime.plugin import holdfast_plugin
from starters.handles import GuardHandle, guard_of
from tests.workflows.harness import until
from tests.workflows.holder import Holding, HoldsALease
from workflows.service_guard import ServiceGuard

HOLDERS = "holders"
T = TypeVar("T")
Holder = WorkflowHandle[HoldsALease, Grant | Refusal]


def rules(
    *freezes: FreezeSpec,
    cooldown: timedelta = timedelta(minutes=10),
    limit: int = 5,
    window: timedelta = timedelta(hours=1),
) -> GuardRules:
    spec = GuardSpec(cooldown=cooldown, restarts=RestartBudget(limit=limit, window=window))
    return GuardRules(spec=spec, freezes=freezes)


FROZEN = rules(FreezeSpec.model_validate({"name": "forever", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}))


class GuardedService:
    """A service that no other test uses."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ref = ServiceRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}")

    @property
    def guard(self) -> GuardHandle:
        return guard_of(self.client, self.ref)

    async def begin(self, *, updates_per_run: int) -> None:
        """Start the guard before anybody asks, with runs so short."""
        state = GuardState(ref=self.ref, updates_per_run=updates_per_run)
        await self.client.start_workflow(ServiceGuard.run, state, id=guard_id(self.ref), task_queue=TaskQueue.GUARDS)

    async def in_a_new_run(self) -> None:
        """Wait until it has continued as new once."""

        async def continued() -> bool:
            description = await self.guard.describe()
            return description.run_id != description.raw_info.first_run_id

        await until(continued, "the guard to continue as new")

    async def state(self) -> GuardState:
        """Asked again while Temporal says that its worker may be down: tests end workers, and others take over."""
        found: list[GuardState] = []

        async def answered() -> bool:
            try:
                found.append(await self.guard.query(ServiceGuard.state))
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                    raise
            return bool(found)

        await until(answered, "the guard to answer")
        return found[0]

    async def start(self, kind: LeaseKind = LeaseKind.ROLLOUT, **asked: object) -> Holder:
        """A workflow that asks for a lease; `name` is the end of its id."""
        name = asked.pop("name", None) or uuid.uuid4().hex[:6]
        holding = Holding.model_validate({"ref": self.ref, "kind": kind, **asked})
        return await self.client.start_workflow(
            HoldsALease.run, holding, id=f"{kind}/{self.ref}/{name}", task_queue=HOLDERS
        )

    async def ask(self, kind: LeaseKind = LeaseKind.ROLLOUT, **asked: object) -> tuple[Holder, Grant | Refusal]:
        """A workflow that has asked for a lease, and what it was answered."""
        holder = await self.start(kind, **asked)
        return holder, await answer_of(holder)

    async def granted(self, kind: LeaseKind = LeaseKind.ROLLOUT, **asked: object) -> Holder:
        holder, answer = await self.ask(kind, **asked)
        assert isinstance(answer, Grant), answer
        return holder

    async def refused(self, kind: LeaseKind = LeaseKind.ROLLOUT, **asked: object) -> Refusal:
        _, answer = await self.ask(kind, **asked)
        assert isinstance(answer, Refusal), answer
        return answer

    async def took(self, outcome: LeaseOutcome, kind: LeaseKind = LeaseKind.ROLLOUT, **asked: object) -> None:
        """A whole holder: granted, and ended so."""
        await end(await self.granted(kind, **asked), outcome)

    async def freeze(self, until: object = None, note: str = "") -> Acknowledgement:
        order = Freeze.model_validate({"by": "ada", "note": note, "until": until})
        return await self._order(GuardUpdate.FREEZE, order)

    async def unfreeze(self) -> Acknowledgement:
        return await self._order(GuardUpdate.UNFREEZE, Unfreeze(by="ada"))

    async def _order(self, update: GuardUpdate, order: Freeze | Unfreeze) -> Acknowledgement:
        return await self._message(update, order, uuid.uuid4().hex, Acknowledgement)

    async def idle_holder(self) -> LeaseHolder:
        """A workflow that runs and holds nothing."""
        elsewhere = GuardedService(self.client)
        handle = await elsewhere.granted()
        return LeaseHolder(workflow_id=handle.id, run_id=handle.first_execution_run_id or "")

    async def send(self, request: Acquire, message_id: str) -> Grant | Refusal:
        """Ask as the activity does, under this id."""
        answer_type = cast("type[Grant | Refusal]", Grant | Refusal)
        return await self._message(GuardUpdate.ACQUIRE, request, message_id, answer_type)

    async def release(
        self, request: Acquire, outcome: LeaseOutcome = LeaseOutcome.DONE, message_id: str | None = None
    ) -> None:
        release = Release(ref=self.ref, kind=request.kind, holder=request.holder, outcome=outcome)
        await self._message(GuardUpdate.RELEASE, release, message_id or uuid.uuid4().hex, Done)

    async def _message(self, update: GuardUpdate, payload: Payload, message_id: str, answer: type[T]) -> T:
        found: T = await self.client.execute_update_with_start_workflow(
            update, payload, start_workflow_operation=guard_start(self.ref), id=message_id, result_type=answer
        )
        return found


async def answer_of(holder: Holder) -> Grant | Refusal:
    async def answered() -> bool:
        return await holder.query(HoldsALease.answer) is not None

    await until(answered, "an answer of the guard")
    answer = await holder.query(HoldsALease.answer)
    assert answer is not None
    return answer


async def end(holder: Holder, outcome: LeaseOutcome) -> None:
    """Tell it to end so, and wait without skipping time, as awaiting its result would."""
    await holder.signal(HoldsALease.end, outcome)
    await until_ended(holder)


async def until_ended(holder: Holder) -> None:
    async def ended() -> bool:
        return (await holder.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(ended, f"{holder.id} to end")


@asynccontextmanager
async def holders(client: Client) -> AsyncIterator[None]:
    async with Worker(client, task_queue=HOLDERS, workflows=[HoldsALease]):
        yield


async def connected(address: HostPort) -> Client:
    """A client of a real server that knows the search attributes of guards."""
    client = await Client.connect(address, plugins=[holdfast_plugin()])
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    attributes = {str(name): keyword for name in (SearchAttribute.SERVICE, SearchAttribute.ENVIRONMENT)}
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)
    )
    return client


@asynccontextmanager
async def guarded_server(address: HostPort) -> AsyncIterator[Client]:
    """A client of a real server on which guards and holders run."""
    client = await connected(address)
    guards = Worker(
        client, task_queue=TaskQueue.GUARDS, workflows=[ServiceGuard], activities=GuardActivities().registered
    )
    async with guards, holders(client):
        yield client
