"""What is recorded of an incident, however much it is and whenever it comes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus

from models.incident import Note
from models.temporal_names import IncidentSignal
from tests.workflows.harness import until
from tests.workflows.incident_harness import THREE_LEVELS, Case, real_room
from workflows import bookkeeping
from workflows.recording import hand_over

NOTES = 300
LONG = "\U0001f6a2" * 2_000
"""Eight kilobytes: 300 of them are more than Temporal carries at once."""


async def test_more_than_temporal_carries_is_recorded_in_slices(temporal_cli: Path) -> None:
    async with real_room(temporal_cli) as room:
        await room.rest()
        await room.work(records=False)
        case = await room.open(THREE_LEVELS.model_copy(update={"reopen_within": timedelta(seconds=1)}))
        await case.until_paged((1, "first"))
        for _ in range(NOTES):
            await case.say(IncidentSignal.NOTE, Note(by="ada", text=LONG))
        await case.say(IncidentSignal.RESOLVE)

        async def over() -> bool:
            return (await case.handle.describe()).status is not WorkflowExecutionStatus.RUNNING

        await until(over, "the incident to end", within=60)
        assert (await case.handle.describe()).status is WorkflowExecutionStatus.COMPLETED
        await room.rest()
        await room.work()

        async def recorded() -> bool:
            return room.pager.timeline(case.id).count(LONG) == NOTES and len(room.pager.audit) == NOTES + 1

        await until(recorded, "every note in the records", within=60)
    assert room.pager.timeline(case.id)[-1] == "closed"
    assert max(len(picture.model_dump_json().encode()) for picture in room.pager.pictures) < 1_000_000


async def test_what_is_taken_while_a_full_run_hands_over_is_recorded(
    temporal_cli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(*given: Any, **named: Any) -> None:
        handing_over.append(True)
        await workflow.wait_condition(lambda: not held)
        await hand_over(*given, **named)

    held, handing_over = [True], list[bool]()
    monkeypatch.setattr(bookkeeping, "hand_over", slowly)
    async with real_room(temporal_cli) as room:
        room.pager.hanging.add("first")
        case = await room.open(THREE_LEVELS, events_per_run=30)
        first = (await case.handle.describe()).run_id

        async def full() -> bool:
            await case.say(IncidentSignal.NOTE, Note(by="ada", text="still looking"))
            return bool(handing_over)

        await until(full, "the run to be full")
        room.pager.hanging.clear()
        await case.until_paged((1, "first"))
        await case.settled()
        held.clear()
        await case.say(IncidentSignal.NOTE, Note(by="ada", text="it was the cable"))

        async def anew() -> bool:
            return (await case.handle.describe()).run_id != first

        await until(anew, "the next run")
        await until(lambda: _has_the_page(case), "the page in the records")


async def _has_the_page(case: Case) -> bool:
    pictures = [picture for picture in case.room.pager.pictures if picture.workflow_id == case.id]
    return any(each.notification.level == 1 for picture in pictures for each in picture.notifications)
