"""Many incidents at once, to each of which alerts, people and time come in an order of its own; then each replays."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.worker import Replayer

from models.incident import IncidentRules, Order
from models.incident_spec import FlapSpec
from models.temporal_names import IncidentSignal
from runtime.plugin import holdfast_plugin
from tests.analysis.incident_factories import a_level, an_alert
from tests.workflows.incident_harness import Case, Room, real_room
from workflows.incident import Incident

INCIDENTS = 40
AT_ONCE = 20
STEPS = 20
SHORT = timedelta(seconds=0.3)
RULES = IncidentRules(
    levels=tuple(a_level(name, wait=SHORT) for name in ("one", "two", "three")),
    repeat=1,
    acknowledged_for=2 * SHORT,
    reopen_within=timedelta(minutes=1),
    flapping=FlapSpec(changes=4, within=SHORT),
)
NEVER_WAS = "incident/local/shop/never-was"
BEGINS_TO_WAIT = ("opened", "reopened", "escalated", "acknowledged for", "the snooze", "no longer snoozed")
"""How an entry begins after which pages may go out again."""


@pytest_asyncio.fixture(scope="module")
async def room(temporal_cli: Path) -> AsyncIterator[Room]:
    async with real_room(temporal_cli) as room:
        yield room


async def _live(room: Room, seed: int, turns: asyncio.Semaphore) -> Case:
    async with turns:
        return await _lived(room, seed)


async def _lived(room: Room, seed: int) -> Case:
    chance = random.Random(seed)  # noqa: S311 - to repeat a failure
    case = await room.open(RULES)
    acts: list[Callable[[], object]] = [
        lambda: case.fire(an_alert("a", "a")),
        lambda: case.fire(an_alert("b", "b")),
        lambda: case.fire(an_alert("a", "a"), an_alert("b", "b"), request="again"),
        lambda: case.clear(an_alert("a", "a"), an_alert("b", "b"), an_alert()),
        lambda: case.clear(an_alert("strange", "strange")),
        lambda: case.say(IncidentSignal.MERGE, {"into": NEVER_WAS, "by": "ada"}),
        lambda: case.say(IncidentSignal.ACKNOWLEDGE, Order(by="ada")),
        lambda: case.say(IncidentSignal.RESOLVE),
        lambda: case.say(IncidentSignal.ESCALATE),
        lambda: case.say(IncidentSignal.SNOOZE, {"for": "0.4s"}),
        lambda: case.say(IncidentSignal.UNSNOOZE),
        lambda: asyncio.sleep(chance.random() * 0.6),
        lambda: asyncio.sleep(0),
    ]
    for _ in range(STEPS):
        await chance.choice(acts)()  # type: ignore[misc]
        await asyncio.sleep(chance.random() * 0.4)  # what it is about: things come at any moment
    await case.say(IncidentSignal.RESOLVE)
    await case.settled()
    return case


@pytest.mark.slow
async def test_in_any_order_nobody_is_paged_for_what_somebody_has_and_it_replays(room: Room) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    cases = await asyncio.gather(*(_live(room, seed, turns) for seed in range(INCIDENTS)))

    replayer = Replayer(workflows=[Incident], plugins=[holdfast_plugin()])
    for case in cases:
        await replayer.replay_workflow(await case.handle.fetch_history())
        _assert_quiet_while_somebody_has_it(await case.timeline())
        keys = [page.key for page in room.pager.got if page.workflow_id == case.id]
        assert len(set(keys)) == len(keys), "a page came twice"
    assert sum(len(case.pages) for case in cases) > INCIDENTS


def _assert_quiet_while_somebody_has_it(timeline: list[str]) -> None:
    waits = taken = False
    for text in timeline:
        if text.startswith(BEGINS_TO_WAIT):
            waits, taken = True, False
        elif text.startswith("no longer merged into"):
            waits = not taken
        elif text.startswith(("merged into", "snoozed until")):
            waits = False
        elif text.startswith(("acknowledged", "resolved", "everything")):
            waits, taken = False, True
        elif "is paged" in text:
            assert waits, timeline
