"""Incidents that hold alerts, on their way through Temporal: durable, asked for now and then, and opened once."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from models.held import LOOK_AGAIN
from models.incident import Phase
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import an_alert
from tests.workflows.harness import until
from tests.workflows.incident_harness import Case, Room, skipping_room

A, B = an_alert("a is slow", "a"), an_alert("b is slow", "b")


@pytest_asyncio.fixture
async def room(test_server: Path) -> AsyncIterator[Room]:
    async with skipping_room(test_server) as room:
        yield room


async def asked(room: Room, times: int) -> None:
    """Wait until the front door was asked so often."""

    async def heard() -> bool:
        return len(room.front_door.asked) >= times

    await until(heard, f"the front door to be asked {times} times")


async def looked(case: Case, times: int) -> None:
    """Skip so many looks, one by one."""
    for _ in range(times):
        before = len(case.room.front_door.asked)
        await case.room.skip(LOOK_AGAIN + timedelta(seconds=1))
        await asked(case.room, before + 1)


async def test_it_pages_nobody_while_a_silence_lasts_and_opens_when_that_ends(room: Room) -> None:
    room.front_door.keeps = {A.title}
    case = await room.hold(A)
    state = await case.until_phase(Phase.PENDING)
    assert [each.hold.why for each in state.held.values()] == ["the silence move is in force"]
    await looked(case, 3)
    assert case.pages == []
    room.front_door.keeps = set()
    await room.skip(LOOK_AGAIN)

    await case.until_paged((1, "first"))
    assert (await case.state()).count == 1
    assert {each.request for each in room.front_door.asked} == {
        f"{(await case.handle.describe()).run_id}/held/{number}" for number in range(1, 5)
    }


async def test_what_cleared_while_it_was_held_ends_it_and_nobody_hears_of_it(room: Room) -> None:
    room.front_door.keeps = {A.title}
    case = await room.hold(A)
    await case.until_phase(Phase.PENDING)
    await case.clear(A)
    await case.handle.result()

    assert case.pages == []
    assert [picture.phase for picture in room.pager.pictures if picture.workflow_id == case.id][-1] is Phase.CLOSED


async def test_a_front_door_that_cannot_know_is_asked_again(room: Room) -> None:
    room.front_door.unsure = True
    case = await room.hold(A)
    await case.until_phase(Phase.PENDING)
    await room.skip(LOOK_AGAIN)
    await asked(room, 3)
    assert case.pages == []
    room.front_door.unsure = False

    await case.until_paged((1, "first"))
    assert len({each.request for each in room.front_door.asked}) == 1


async def test_another_alert_opens_it_with_all_that_it_holds(room: Room) -> None:
    room.front_door.keeps = {A.title}
    case = await room.hold(A)
    await case.fire(B)
    await case.until_paged((1, "first"))
    await case.clear(B)
    await case.until_said("cleared: b is slow")
    state = await case.state()
    assert (state.phase, state.count, state.held) == (Phase.TRIGGERED, 2, {})


async def test_what_is_not_understood_is_written_down_and_holds_nothing_up(room: Room) -> None:
    room.front_door.keeps = {A.title}
    case = await room.hold(A)
    await case.say(IncidentSignal.HELD, {"alerts": "many"})
    await case.until_said("held changes nothing: it was not understood")
    await case.say(IncidentSignal.RESOLVE)
    await case.until_phase(Phase.RESOLVED)
