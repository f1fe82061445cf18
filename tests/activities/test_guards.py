"""Asking a guard by update-with-start, on Temporal's own server."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.guards import GuardActivities
from models.freezes import FreezeSpec
from models.guard import Acquire, Grant, LeaseKind, LeaseOutcome, Refusal
from models.quantities import HostPort
from models.temporal_names import TaskQueue
from tests.factories import an_acquire
from tests.workflows.guard_harness import GuardedService, end, guarded_server, rules


@pytest_asyncio.fixture(scope="session")
async def client(temporal: HostPort) -> AsyncIterator[Client]:
    async with guarded_server(temporal) as client:
        yield client


@pytest_asyncio.fixture
async def shop(client: Client) -> GuardedService:
    return GuardedService(client)


async def attempt(shop: GuardedService, asked: Acquire, activity_id: str = "1", *, run: str = "run") -> Grant | Refusal:
    """One attempt at the activity, as a worker makes it."""
    environment = ActivityEnvironment(client=shop.client)
    said = {"activity_id": activity_id, "workflow_run_id": run, "started_time": datetime.now(UTC)}
    environment.info = replace(environment.info, **said)  # type: ignore[arg-type] # each of its own type
    return await environment.run(GuardActivities().acquire, asked)


async def test_the_first_question_starts_the_guard(shop: GuardedService) -> None:
    holder = await shop.granted(version="v2")
    description = await shop.guard.describe()

    assert description.task_queue == TaskQueue.GUARDS
    assert await description.static_summary() == f"guard of {shop.ref.service} in local"
    await end(holder, LeaseOutcome.PROMOTED)
    assert (await shop.state()).leases == ()


async def test_a_worker_that_dies_between_the_grant_and_its_report_changes_nothing(shop: GuardedService) -> None:
    asked = an_acquire(shop.ref, holder=await shop.idle_holder())
    first = await attempt(shop, asked)
    again = await attempt(shop, asked)

    assert first == again
    assert isinstance(first, Grant)
    events = [event.WhichOneof("attributes") async for event in shop.guard.fetch_history_events()]
    assert events.count("workflow_execution_update_accepted_event_attributes") == 1


async def test_the_next_question_of_a_holder_is_another(shop: GuardedService) -> None:
    """A refusal that was given is given again to a retry; who asks later gets an answer of its own."""
    holder = await shop.granted(version="v2")
    asked = an_acquire(shop.ref, version="v3", holder=await shop.idle_holder())
    assert isinstance(await attempt(shop, asked, "1"), Refusal)
    await end(holder, LeaseOutcome.PROMOTED)

    assert isinstance(await attempt(shop, asked, "1"), Refusal)
    assert isinstance(await attempt(shop, asked, "2"), Grant)


async def test_of_many_that_ask_at_once_exactly_one_is_granted(shop: GuardedService) -> None:
    asked = [an_acquire(shop.ref, holder=await shop.idle_holder()) for _ in range(6)]
    answers = await asyncio.gather(*(attempt(shop, each, run=each.holder.run_id) for each in asked))

    assert [type(answer) for answer in answers].count(Grant) == 1


async def test_questions_meet_a_guard_that_continues_as_new_all_the_time(shop: GuardedService) -> None:
    """Each message ends a run; none is lost, and no lease is either."""
    await shop.begin(updates_per_run=1)
    for nth in range(2):
        holder = await shop.granted(version=f"v{nth}")
        await shop.refused(LeaseKind.CHAOS)
        await end(holder, LeaseOutcome.PROMOTED)

    texts = [decision.text for decision in (await shop.state()).decisions]
    assert sum(text.startswith("granted") for text in texts) == 2
    assert sum(text.startswith("refused") for text in texts) == 2
    assert sum(text.endswith("ended: promoted") for text in texts) == 2


async def test_a_holder_is_dead_once_its_workflow_has_ended_however_it_did(shop: GuardedService) -> None:
    for finish in ("terminate", "cancel"):
        holder = await shop.idle_holder()
        handle = shop.client.get_workflow_handle(holder.workflow_id)
        look = ActivityEnvironment(client=shop.client)
        assert (await look.run(GuardActivities().holder_runs, holder)).runs

        await getattr(handle, finish)()
        async with asyncio.timeout(20):
            while (await look.run(GuardActivities().holder_runs, holder)).runs:
                await asyncio.sleep(0.02)


async def test_a_holder_that_never_was_is_dead(shop: GuardedService) -> None:
    holder = (await shop.idle_holder()).model_copy(update={"workflow_id": uuid.uuid4().hex})

    look = ActivityEnvironment(client=shop.client)
    assert not (await look.run(GuardActivities().holder_runs, holder)).runs


async def test_a_freeze_is_in_force_by_the_servers_clock(shop: GuardedService) -> None:
    now = datetime.now(UTC)
    day = timedelta(days=1)
    over = FreezeSpec(name="over", from_=written(now - 2 * day), until=written(now - day))
    coming = FreezeSpec(name="coming", from_=written(now + day), until=written(now + 2 * day))
    present = FreezeSpec(name="present", from_=written(now - day), until=written(now + day))

    assert "freeze present is in force" in (await shop.refused(rules=rules(over, present, coming))).why
    await shop.granted(rules=rules(over, coming))


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
