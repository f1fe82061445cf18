"""Records kept beside a workflow, on a server whose clock skips ahead; the database is a real file."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.records import SOMEONE_MUST_ACT, RecordActivities
from models.audit import REFUSED
from models.deployment import Done
from models.ids import ServiceRef, recording_id, refusal_recording_id
from models.record import RolloutRecord, ToRecord
from models.rollout import Phase
from models.temporal_names import TaskQueue
from records.errors import RecordsError
from records.store import RecordStore
from runtime.plugin import holdfast_plugin
from tests.factories import SERVER_STARTS_WITHIN, SHOP
from tests.records.factories import a_record, an_entry
from tests.workflows.bookkeeping_workflow import Chronicle, SampleChronicle
from tests.workflows.harness import until
from workflows.recording import Recording

DAYS = timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)


class Flaky:
    """A store that is away until the given moment of the server's clock."""

    def __init__(self, store: RecordStore, clock: Callable[[], Awaitable[datetime]]) -> None:
        self.store = store
        self.back_at: datetime | None = None
        self.retryable = True
        self.pictures: list[RolloutRecord] = []
        self.attempts = 0
        self._clock = clock

    async def away_for(self, time: timedelta, *, retryable: bool = True) -> None:
        self.back_at = await self._clock() + time
        self.retryable = retryable

    async def write(self, entries: ToRecord) -> None:
        self.attempts += 1
        if self.back_at and await self._clock() < self.back_at:
            raise RecordsError("the database is away", retryable=self.retryable)
        await self.store.write(entries)
        if entries.rollout:
            self.pictures.append(entries.rollout)


class Desk:
    """A workflow that keeps records, the queue that writes them, and the records."""

    def __init__(self, environment: WorkflowEnvironment, flaky: Flaky, home: Path) -> None:
        self.environment = environment
        self.flaky = flaky
        self.store = flaky.store

    async def chronicle(self, pictures: int, pause: timedelta) -> WorkflowHandle[SampleChronicle, Done]:
        return await self.environment.client.start_workflow(
            SampleChronicle.run,
            Chronicle(ref=SHOP, pictures=pictures, pause=pause),
            id=f"rollout/{uuid.uuid4()}",
            task_queue=TaskQueue.ROLLOUTS,
        )

    async def record(self, ref: ServiceRef = SHOP) -> RolloutRecord:
        (record,) = await self.store.rollouts(ref, 10)
        return record

    async def recording_of(self, handle: WorkflowHandle[SampleChronicle, Done]) -> WorkflowHandle[Recording, Done]:
        """The child that a workflow which ended has left behind."""
        started = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
        events = [event async for event in handle.fetch_history_events() if event.event_type == started]
        (event,) = (event.child_workflow_execution_started_event_attributes for event in events)
        return self.environment.client.get_workflow_handle_for(Recording.run, event.workflow_execution.workflow_id)


@pytest_asyncio.fixture
async def desk(test_server: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server),
        test_server_startup_timeout=SERVER_STARTS_WITHIN,
        plugins=[holdfast_plugin()],
    )
    async with environment, RecordStore(None, tmp_path) as store:
        flaky = Flaky(store, environment.get_current_time)
        await store.migrate()
        async with (
            Worker(environment.client, task_queue=TaskQueue.ROLLOUTS, workflows=[SampleChronicle]),
            Worker(
                environment.client,
                task_queue=TaskQueue.RECORDS,
                workflows=[Recording],
                activities=RecordActivities(flaky).registered,
            ),
        ):
            yield Desk(environment, flaky, tmp_path)


async def events(handle: WorkflowHandle[SampleChronicle, Done]) -> "Counter[EventType.ValueType]":
    return Counter([event.event_type async for event in handle.fetch_history_events()])


async def test_what_was_refused_is_recorded_once_however_long_the_database_is_away(desk: Desk) -> None:
    await desk.flaky.away_for(2 * DAYS)
    entry = an_entry().model_copy(update={"outcome": REFUSED, "why": "it is not paused"})
    handle = await desk.environment.client.start_workflow(
        Recording.run, ToRecord(audit=(entry,)), id=refusal_recording_id(entry.key), task_queue=TaskQueue.RECORDS
    )
    await handle.result()

    assert await desk.store.audit(None, 10) == (entry,)
    assert desk.flaky.attempts > 500
    assert len([event async for event in handle.fetch_history_events()]) < 15


async def test_an_error_that_wants_a_person_is_tried_again_more_slowly(desk: Desk) -> None:
    await desk.flaky.away_for(timedelta(hours=1), retryable=False)
    await desk.environment.client.execute_workflow(
        Recording.run, ToRecord(rollout=a_record()), id=recording_id("w", "r", 1), task_queue=TaskQueue.RECORDS
    )

    assert await desk.record() == a_record()
    assert desk.flaky.attempts <= timedelta(hours=1) / SOMEONE_MUST_ACT + 2


async def test_every_picture_is_written_while_the_database_is_there(desk: Desk) -> None:
    handle = await desk.chronicle(3, timedelta(minutes=1))
    await handle.result()
    await (await desk.recording_of(handle)).result()

    assert [picture.reason for picture in desk.flaky.pictures] == [f"picture {number}" for number in range(4)]
    assert (await desk.record()).phase is Phase.PROMOTED
    assert len(await desk.store.audit(None, 10)) == 3


async def test_what_is_written_already_is_not_sent_again(desk: Desk) -> None:
    handle = await desk.chronicle(3, timedelta(minutes=1))
    await handle.result()
    await (await desk.recording_of(handle)).result()

    assert [len(picture.audit) for picture in desk.flaky.pictures] == [0, 1, 1, 1]


@pytest.mark.full
async def test_a_database_that_is_away_for_two_days_adds_no_events_and_gets_the_newest(desk: Desk) -> None:
    await desk.flaky.away_for(2 * DAYS)
    handle = await desk.chronicle(60, timedelta(hours=1))
    await handle.result()
    await (await desk.recording_of(handle)).result()
    counted = await events(handle)
    pictures = [picture.reason for picture in desk.flaky.pictures]

    # Until then one write is under way, of the first picture; the newest follows it, and not the 47 between.
    assert pictures[0] == "picture 0"
    assert pictures[1] in {"picture 47", "picture 48"}
    assert counted[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] <= 60 - 46
    record = await desk.record()
    assert (record.reason, record.phase) == ("picture 60", Phase.PROMOTED)
    assert len(await desk.store.audit(None, 100)) == 60


async def test_a_database_that_is_away_while_the_parent_ends_delays_it_not_and_loses_nothing(desk: Desk) -> None:
    await desk.flaky.away_for(2 * DAYS)
    began = await desk.environment.get_current_time()
    handle = await desk.chronicle(0, timedelta(0))
    await handle.result()
    took = await desk.environment.get_current_time() - began
    assert await desk.store.rollouts(SHOP, 10) == ()
    recording = await desk.recording_of(handle)
    assert (await recording.describe()).status is WorkflowExecutionStatus.RUNNING

    async def recorded() -> bool:
        return bool(await desk.store.rollouts(SHOP, 10))

    # The clock skips for whoever waits for a workflow that it started, and this is the child of one.
    skipping = asyncio.create_task(desk.environment.sleep(3 * DAYS))
    await until(recorded, "the record")
    skipping.cancel()
    await asyncio.gather(skipping, return_exceptions=True)
    await recording.result()

    assert took < timedelta(hours=1)
    assert desk.flaky.attempts > 500
    record = await desk.record()
    assert (record.reason, record.workflow_id) == ("picture 0", handle.id)


async def test_a_write_under_way_when_the_parent_ends_is_left_and_what_it_held_is_not_lost(desk: Desk) -> None:
    desk.flaky.back_at = NEVER
    handle = await desk.chronicle(3, timedelta(seconds=1))
    await handle.result()
    assert desk.flaky.pictures == []
    desk.flaky.back_at = None
    await (await desk.recording_of(handle)).result()

    assert [picture.reason for picture in desk.flaky.pictures] == ["picture 3"]
    assert len(await desk.store.audit(None, 10)) == 3


async def test_a_parent_that_is_cancelled_is_recorded(desk: Desk) -> None:
    handle = await desk.chronicle(1000, timedelta(hours=1))

    async def begun() -> bool:
        return bool(desk.flaky.pictures)

    await until(begun, "the first picture")
    await handle.cancel()
    with pytest.raises(Exception, match=r"cancelled|failed"):
        await handle.result()
    await (await desk.recording_of(handle)).result()

    assert (await desk.record()).phase is Phase.PROMOTED


async def test_pictures_of_one_moment_are_told_apart(desk: Desk) -> None:
    handle = await desk.chronicle(1, timedelta(0))
    await handle.result()
    await (await desk.recording_of(handle)).result()

    revisions = [picture.revision for picture in desk.flaky.pictures]
    assert revisions == sorted(set(revisions))
    assert (await desk.record()).reason == "picture 1"
