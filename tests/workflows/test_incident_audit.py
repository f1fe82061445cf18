"""Every order on an incident stands in the audit log: who, what, when, from where, and what became of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import workflow

from models.audit import AuditEntry
from models.incident import Note, Order, Phase, Snooze
from models.temporal_names import IncidentSignal
from tests.workflows.harness import until
from tests.workflows.incident_harness import MINUTE, THREE_LEVELS, Case, Room, real_room, skipping_room
from workflows import bookkeeping
from workflows.recording import hand_over


@pytest_asyncio.fixture
async def room(test_server: Path) -> AsyncIterator[Room]:
    async with skipping_room(test_server) as room:
        yield room


async def entries(case: Case, number: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []

    async def recorded() -> bool:
        found[:] = [each for each in case.room.pager.audit if each.ref == case.request.ref.of]
        return len(found) >= number

    await until(recorded, f"{number} entries in the audit log")
    assert len(found) == number, found
    assert len({each.key for each in found}) == number
    return found


async def test_who_gave_which_order_from_where_and_what_became_of_it(room: Room) -> None:
    case = await room.open()
    grace = Order(by="grace", note="looking", from_where="command@laptop")
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.ACKNOWLEDGE, grace)
    await case.until_phase(Phase.ACKNOWLEDGED)
    await case.say(IncidentSignal.ACKNOWLEDGE, "ada")
    await case.say(IncidentSignal.SNOOZE, Snooze(by="ada", lasting=5 * MINUTE))
    await case.say(IncidentSignal.NOTE, Note(by="ada", text="it was the cable"))
    await case.say(IncidentSignal.ESCALATE)
    await case.until_said("escalated")
    await case.settled()
    await case.say(IncidentSignal.MERGE, {"by": "eve", "into": ["nothing"]})
    await case.say(IncidentSignal.RESOLVE, grace)
    told = await entries(case, 7)
    said = [(each.who, each.what.rpartition(": ")[2], each.outcome) for each in told]
    assert said == [
        ("grace", "acknowledge", "accepted"),
        ("ada", "acknowledge", "refused"),
        ("ada", "snooze", "accepted"),
        ("ada", "note", "accepted"),
        ("ada", "escalate", "accepted"),
        ("eve", "merge", "refused"),
        ("grace", "resolve", "accepted"),
    ]
    assert {each.what.partition(":")[0] for each in told} == {f"incident {case.request.ref.key}"}
    assert (told[0].from_where, told[0].note) == ("command@laptop", "acknowledged (looking)")
    assert (told[1].from_where, told[1].why) == ("a signal", "grace has acknowledged it already")
    assert (told[3].note, told[5].why[:21]) == ("it was the cable", "it was not understood")


async def test_opening_by_hand_is_an_order_and_alerts_are_none(room: Room) -> None:
    case = await room.open(opened_by="ada@laptop", from_where="command@laptop", note="the till rings")
    await case.until_paged((1, "first"))
    await case.clear()
    (entry,) = await entries(case, 1)
    assert (entry.who, entry.what, entry.from_where) == (
        "ada@laptop", f"incident {case.request.ref.key}: open", "command@laptop",
    )  # fmt: skip
    assert entry.note == "SEV2 error rate is high: the till rings"


async def test_what_is_ordered_while_the_last_picture_is_handed_over_is_recorded_too(
    temporal_cli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(*given: Any, **named: Any) -> None:
        await workflow.wait_condition(lambda: not held)
        await hand_over(*given, **named)

    held = [True]
    monkeypatch.setattr(bookkeeping, "hand_over", slowly)
    async with real_room(temporal_cli) as room:
        case = await room.open(THREE_LEVELS.model_copy(update={"reopen_within": timedelta(seconds=1)}))
        await case.until_paged((1, "first"))
        await case.say(IncidentSignal.RESOLVE)
        await case.until_phase(Phase.CLOSED)
        await case.say(IncidentSignal.NOTE, Note(by="ada", text="it was the cable"))
        await case.until_said("it was the cable")
        held.clear()
        await case.say(IncidentSignal.NOTE, Note(by="ada", text="it was the plug"))

        noted = [each.note for each in await entries(case, 3)]
    assert noted == ["resolved by ada", "it was the cable", "it was the plug"]


async def test_what_was_ordered_in_an_earlier_run_is_recorded_once(temporal_cli: Path) -> None:
    """On a real server, as the time-skipping one loses queries that meet a change of runs."""
    async with real_room(temporal_cli) as room:
        case = await room.open(THREE_LEVELS, events_per_run=40, opened_by="ada")
        for number in range(10):
            await case.say(IncidentSignal.NOTE, Note(by="ada", text=f"note {number}"))
            await case.until_said(f"note {number}")
        told = await entries(case, 11)
    assert [each.note for each in told[1:]] == [f"note {number}" for number in range(10)]
    assert len({each.key.partition("/")[0] for each in told}) > 1, "it has not continued as new"
