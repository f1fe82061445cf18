"""Incidents on a real server: workers that are away, runs that follow each other, and what is sent by hand."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from models.incident import IncidentRules, IncidentState, Phase
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import a_held, a_level, an_alert, holding
from tests.workflows.harness import until
from tests.workflows.incident_harness import THREE_LEVELS, Case, Room, real_room

SECOND = timedelta(seconds=1)
QUICK = IncidentRules(levels=tuple(a_level(name, wait=SECOND) for name in ("one", "two", "three", "four")), repeat=0)


@pytest_asyncio.fixture(scope="module")
async def room(temporal_cli: Path) -> AsyncIterator[Room]:
    async with real_room(temporal_cli) as room:
        yield room


async def test_an_outage_over_three_due_steps_loses_none_doubles_none_and_begins_with_the_overdue(room: Room) -> None:
    case = await room.open(QUICK)
    await case.until_paged((1, "one"))
    await room.rest()
    await asyncio.sleep(3.5)  # the outage itself
    await room.work()

    await case.until_paged((1, "one"), (2, "two"), (3, "three"), (4, "four"))
    due = room.pager.due(case.id)
    assert [at - due[0] for at in due] == [step * SECOND for step in range(4)]
    assert [room.pager.attempts[page.key] for page in room.pager.got if page.workflow_id == case.id] == [1] * 4


async def test_what_is_overdue_is_sent_before_what_fell_due_later(room: Room) -> None:
    case = await room.open(QUICK)
    await case.until_paged((1, "one"))
    await room.rest()
    await asyncio.sleep(2.5)  # the outage itself
    room.pager.hanging.add("three")
    await room.work()
    await case.until_said("level 3 is paged: three")
    await case.until_paged((1, "one"), (2, "two"))
    room.pager.hanging.clear()
    await case.until_paged((1, "one"), (2, "two"), (3, "three"), (4, "four"))


async def test_what_is_overdue_is_sent_first_although_the_worker_that_sends_it_dies(room: Room) -> None:
    at_once = IncidentRules(levels=tuple(a_level(name, wait=0 * SECOND) for name in ("one", "two")), repeat=0)
    room.pager.dying.add("one")
    case = await room.open(at_once)

    await case.until_paged((1, "one"), (2, "two"))
    room.pager.dying.clear()


async def test_it_continues_as_new_and_forgets_nothing(room: Room) -> None:
    case = await room.open(THREE_LEVELS, events_per_run=60)
    first = (await case.handle.describe()).run_id
    for number in range(40):
        await case.fire(an_alert(f"alert {number}", f"alert-{number}"))
        await case.until_said(f"alert {number}")
    await case.say(IncidentSignal.ACKNOWLEDGE)
    state = await case.until_phase(Phase.ACKNOWLEDGED)

    assert (await case.handle.describe()).run_id != first
    assert (state.count, len(state.alerts)) == (41, 41)
    assert case.pages == [(1, "first")]
    assert len(set(room.pager.timeline(case.id))) >= 41
    assert {picture.run_id for picture in room.pager.pictures if picture.workflow_id == case.id} == {first}


async def test_twenty_thousand_alerts_stay_below_five_thousand_events_a_run(room: Room) -> None:
    case = await room.open()
    began = time.monotonic()
    for _ in range(20):
        await asyncio.gather(*(_fire(case, 10) for _ in range(100)))

    async def counted() -> bool:
        return (await case.state()).count >= 20_001

    await until(counted, "20,001 alerts", within=100)
    print(f"20,000 alerts in 2,000 requests in {time.monotonic() - began:.1f} s")  # noqa: T201
    assert (await case.state()).count == 20_001
    assert max(await _lengths(case)) < 5_000
    assert case.pages == [(1, "first")]


async def _fire(case: Case, alerts: int) -> None:
    await case.fire(*[an_alert()] * alerts)


async def _lengths(case: Case) -> list[int]:
    """How many events each run of the chain has."""
    found = []
    run_id: str | None = (await case.handle.describe()).run_id
    while run_id:
        handle = case.room.client.get_workflow_handle(case.id, run_id=run_id)
        history = await handle.fetch_history()
        found.append(len(history.events))
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id or None
    return found


async def test_the_temporal_command_acknowledges_and_resolves_with_and_without_a_payload(
    room: Room, temporal_cli: Path
) -> None:
    for payload, by in ((None, "someone"), ({"by": "ada"}, "ada"), ("grace", "grace")):
        case = await room.open()
        await _signal(room, temporal_cli, case, "acknowledge", payload)
        state = await case.until_phase(Phase.ACKNOWLEDGED)
        assert state.acknowledged_by == by
        await _signal(room, temporal_cli, case, "note", {"text": "looking"})
        await _signal(room, temporal_cli, case, "resolve", payload)
        assert (await _until_resolved(case)).resolved_by == by


async def _until_resolved(case: Case) -> IncidentState:
    return await case.until_phase(Phase.RESOLVED)


async def _signal(room: Room, temporal_cli: Path, case: Case, name: str, payload: object) -> None:
    given = [] if payload is None else ["--input", json.dumps(payload)]
    address = room.client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        temporal_cli, "workflow", "signal", "--address", address, "--workflow-id", case.id, "--name", name, *given,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_it_is_found_by_what_it_is(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    service = case.request.ref.service

    async def found() -> bool:
        query = f"Service = '{service}' AND Phase = 'triggered' AND Severity = 'SEV2' AND Environment = 'local'"
        return [each.id async for each in room.client.list_workflows(query)] == [case.id]

    await until(found, "the incident in the list")


async def test_two_that_are_merged_into_each_other_go_their_own_ways(room: Room) -> None:
    one, other = await room.open(), await room.open()
    for case in (one, other):
        await case.until_paged((1, "first"))
    await room.rest()
    await one.say(IncidentSignal.MERGE, other.id)
    await other.say(IncidentSignal.MERGE, one.id)
    await room.work()
    await one.settled()
    await other.settled()

    for case in (one, other):
        await case.until_said("no longer merged into")
        assert (await case.state()).merged_into == ""


async def test_an_outage_over_the_end_of_a_silence_loses_nothing_and_pages_once(room: Room) -> None:
    case = await room.hold(until=datetime.now(UTC) + SECOND)
    await room.rest()
    await asyncio.sleep(2.5)  # the outage itself
    await room.work()

    await case.until_paged((1, "first"))
    assert (await case.state()).count == 1


async def test_run_after_run_it_holds_what_it_held(room: Room) -> None:
    soon = datetime.now(UTC)
    room.front_door.keeps, room.front_door.until = {"a", "b"}, soon
    case = await room.hold(an_alert("a", "a"), an_alert("b", "b"), until=soon, events_per_run=30)
    first = (await case.handle.describe()).run_id
    for number in range(12):
        await case.say(IncidentSignal.NOTE, {"text": f"note {number}"})
        await case.until_said(f"note {number}")
    await case.clear(an_alert("b", "b"))
    room.front_door.keeps, room.front_door.until = set(), None

    await case.until_paged((1, "first"))
    state = await case.state()
    assert (state.count, list(state.alerts)) == (1, ["alertmanager:a"])
    assert (await case.handle.describe()).run_id != first
    asked = [each.request for each in room.front_door.asked if each.incident == case.request.ref]
    assert asked == [f"{first}/held/{number + 1}" for number in range(len(asked))]


async def test_what_clears_while_the_front_door_is_asked_opens_nothing(room: Room) -> None:
    room.front_door.hanging = True
    case = await room.hold(until=datetime.now(UTC))

    async def asked() -> bool:
        return any(each.incident == case.request.ref for each in room.front_door.asked)

    await until(asked, "the front door to be asked")
    await case.clear()
    await case.until_phase(Phase.CLOSED)
    room.front_door.hanging = False
    await case.handle.result()

    assert case.pages == []


async def test_thousands_of_requests_that_are_held_are_heard_at_once_after_an_outage(room: Room) -> None:
    """As when workers are away for a quarter of an hour while all that is silenced says so again and again."""
    await room.rest()
    case = room.case(held=True)
    labels = {f"label-{number}": "a value" for number in range(15)}
    alerts = [a_held(an_alert(f"alert {number}", f"alert-{number}", labels=labels)) for number in range(200)]
    for _ in range(4):
        said = [holding(alerts[number % 200]) for number in range(1_000)]
        await case.start_with(IncidentSignal.HELD, *said)
    await room.work()

    async def heard() -> bool:
        with suppress(RPCError):
            return len((await case.state()).held) == 200
        return False

    await until(heard, "all of it to be held")
    history = await case.handle.fetch_history()
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    assert not any(event.event_type == failed for event in history.events)
    await case.say(IncidentSignal.RESOLVE)
