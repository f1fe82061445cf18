"""Incidents on a server of their own, with people who have pagers."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from models.alert import Alert
from models.ids import IncidentRef, incident_id
from models.incident import (
    AlertSignal,
    IncidentOutcome,
    IncidentRequest,
    IncidentRules,
    IncidentState,
    Order,
    Phase,
)
from models.severity import Severity
from models.temporal_names import IncidentSignal, SearchAttribute, TaskQueue, front_door_queue
from runtime.plugin import holdfast_plugin
from starters.handles import incident_called
from tests.analysis.incident_factories import SILENCED, a_held, a_level, an_alert, holding
from tests.factories import SERVER_STARTS_WITHIN
from tests.workflows.fake_front_door import FakeFrontDoor
from tests.workflows.fake_pager import FakePager
from tests.workflows.harness import until
from workflows.incident import Incident
from workflows.recording import Recording

ADA = Order(by="ada")
MINUTE = timedelta(minutes=1)


THREE_LEVELS = IncidentRules(levels=(a_level("first"), a_level("second"), a_level("third")), repeat=0)


class Room:
    """A server with workers, where incidents happen."""

    def __init__(self, client: Client, skip: Callable[[timedelta], Awaitable[None]]) -> None:
        self.client, self.skip = client, skip
        self.pager, self.front_door = FakePager(), FakeFrontDoor()
        self._workers: AsyncExitStack | None = None

    async def work(self, *, records: bool = True) -> None:
        """Start the workers."""
        self._workers = AsyncExitStack()
        await self._workers.enter_async_context(
            Worker(self.client, task_queue=TaskQueue.INCIDENTS, workflows=[Incident], max_cached_workflows=100)
        )
        await self._workers.enter_async_context(
            Worker(
                self.client,
                task_queue=TaskQueue.NOTIFICATIONS,
                activities=[self.pager.notify],
                max_heartbeat_throttle_interval=timedelta(milliseconds=100),
                default_heartbeat_throttle_interval=timedelta(milliseconds=100),
            )
        )
        await self._workers.enter_async_context(
            Worker(self.client, task_queue=front_door_queue("local"), activities=[self.front_door.look_again])
        )
        if records:
            await self._workers.enter_async_context(
                Worker(self.client, task_queue=TaskQueue.RECORDS, workflows=[Recording], activities=[self.pager.write])
            )

    async def rest(self) -> None:
        """Stop the workers, as an outage does."""
        if self._workers:
            await self._workers.aclose()
            self._workers = None

    async def open(self, rules: IncidentRules = THREE_LEVELS, *alerts: Alert, **request: object) -> "Case":
        """An incident that one alert opens, of a service that no other test uses."""
        case = self.case(rules, **request)
        await case.fire(*(alerts or (an_alert(),)))
        return case

    async def hold(self, *alerts: Alert, until: datetime | None = None, **request: object) -> "Case":
        """One that holds its alerts, silenced until then."""
        case = self.case(THREE_LEVELS, held=True, **request)
        await case.hold(*alerts, until=until)
        return case

    def case(self, rules: IncidentRules = THREE_LEVELS, **request: object) -> "Case":
        ref = IncidentRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}", key="high-error-rate")
        usual = {"title": "error rate is high", "severity": Severity.SEV2, "rules": rules}
        asked = {"ref": ref, **usual, **request}
        return Case(self, IncidentRequest.model_validate(asked))


class Case:
    """One incident, and what is said to it."""

    def __init__(self, room: Room, request: IncidentRequest) -> None:
        self.room, self.request = room, request
        self.id = incident_id(request.ref)

    @property
    def handle(self) -> WorkflowHandle[Incident, IncidentOutcome]:
        return incident_called(self.room.client, self.id)

    async def fire(self, *alerts: Alert, request: str = "", severity: Severity | None = None) -> None:
        """As a front door does."""
        said = AlertSignal(alerts=alerts or (an_alert(),), request=request, severity=severity)
        await self.start_with(IncidentSignal.FIRED, said)

    async def hold(self, *alerts: Alert, until: datetime | None = None) -> None:
        """As a front door does with what is silenced."""
        hold = SILENCED.model_copy(update={"until": until})
        await self.start_with(IncidentSignal.HELD, holding(*(a_held(alert, hold) for alert in alerts or (an_alert(),))))

    async def start_with(self, signal: IncidentSignal, *said: object) -> None:
        """It begins if it does not run."""
        await self.room.client.start_workflow(
            Incident.run,
            self.request,
            id=self.id,
            task_queue=TaskQueue.INCIDENTS,
            start_signal=signal,
            start_signal_args=said,
        )

    async def clear(self, *alerts: Alert) -> None:
        await self.handle.signal(IncidentSignal.CLEARED, AlertSignal(alerts=alerts or (an_alert(),)))

    async def say(self, signal: IncidentSignal, payload: object = ADA) -> None:
        await self.handle.signal(signal, payload)

    async def state(self) -> IncidentState:
        """Asked again when no answer comes: the test server loses a query that meets a change of the workflow."""
        for _ in range(20):
            try:
                return await self.handle.query(Incident.state, rpc_timeout=timedelta(seconds=3))
            except RPCError as error:
                if error.status not in {RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}:
                    raise
        pytest.fail("the incident does not answer")

    async def until_phase(self, phase: Phase) -> IncidentState:
        async def reached() -> bool:
            return (await self.state()).phase is phase

        await until(reached, f"the incident to be {phase}")
        return await self.state()

    async def until_said(self, words: str) -> None:
        async def found() -> bool:
            return any(words in entry.text for entry in (await self.state()).timeline)

        await until(found, f"{words!r} on the timeline")

    async def until_paged(self, *pages: tuple[int, str]) -> None:
        """Wait until exactly these pages were got, in this order, of level and target.

        The incident knows of the last by then: an order that cuts off a page which is out already stops the test
        server's clock, or holds the workflow up.
        """

        async def got() -> bool:
            if len(self.pages) < len(pages):
                return False
            outbox = (await self.state()).outbox
            return all((page.level, name) != pages[-1] or name in page.sent for page in outbox for name in page.targets)

        await until(got, f"{len(pages)} pages")
        assert self.pages == list(pages)

    async def settled(self) -> None:
        """Wait until all that was decided is sent."""

        async def sent() -> bool:
            state = await self.state()
            return not state.outbox and not state.messages

        await until(sent, "everything to be sent")

    async def result(self) -> IncidentOutcome:
        """Wait for its end; the clock skips meanwhile, which it does by itself only for who started a workflow."""
        run_id = (await self.handle.describe()).run_id
        handle = incident_called(self.room.client, self.id, run_id)

        async def ended() -> bool:
            await self.room.skip(5 * MINUTE)
            return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

        await until(ended, "the incident to end")
        return await handle.result()

    @property
    def pages(self) -> list[tuple[int, str]]:
        return self.room.pager.pages(self.id)

    async def timeline(self) -> list[str]:
        return [entry.text for entry in (await self.state()).timeline]


@asynccontextmanager
async def room_on(environment: WorkflowEnvironment) -> AsyncIterator[Room]:
    async with environment:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace, search_attributes=dict.fromkeys(SearchAttribute, keyword)
            )
        )
        room = Room(environment.client, environment.sleep)
        await room.work()
        try:
            yield room
        finally:
            await room.rest()


@asynccontextmanager
async def skipping_room(test_server: Path) -> AsyncIterator[Room]:
    """On a server whose clock skips ahead when a test says so."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server),
        test_server_startup_timeout=SERVER_STARTS_WITHIN,
        plugins=[holdfast_plugin()],
    )
    async with room_on(environment) as room:
        yield room


@asynccontextmanager
async def real_room(temporal_cli: Path) -> AsyncIterator[Room]:
    """On a real server, whose clock is the wall's."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_cli),
        dev_server_startup_timeout=SERVER_STARTS_WITHIN,
        plugins=[holdfast_plugin()],
    )
    async with room_on(environment) as room:
        yield room
