"""What an incident does as alerts, people and time come to it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio

from models.incident import AlertSignal, Assign, FinishTask, IncidentRules, Note, Order, Phase, Role, Snooze
from models.incident_spec import FlapSpec, OpenAfter
from models.severity import Severity
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import a_level, an_alert
from tests.workflows.harness import until
from tests.workflows.incident_harness import ADA, MINUTE, THREE_LEVELS, Room, skipping_room

HOUR = timedelta(hours=1)


AFTER_THREE = THREE_LEVELS.model_copy(update={"open_after": OpenAfter(alerts=3, within=5 * MINUTE)})


@pytest_asyncio.fixture
async def room(test_server: Path) -> AsyncIterator[Room]:
    async with skipping_room(test_server) as room:
        yield room


async def test_pages_level_after_level_until_the_policy_is_at_its_end(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await room.skip(21 * MINUTE)
    await case.until_paged((1, "first"), (2, "second"), (3, "third"))
    await room.skip(2 * HOUR)

    assert len(case.pages) == 3
    opened = (await case.state()).opened_at
    assert [due - opened for due in room.pager.due(case.id)] == [timedelta(0), 10 * MINUTE, 20 * MINUTE]


async def test_after_an_acknowledge_nobody_is_paged(room: Room) -> None:
    case = await room.open(THREE_LEVELS.model_copy(update={"acknowledged_for": None}))
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(Phase.ACKNOWLEDGED)
    await room.skip(24 * HOUR)

    assert case.pages == [(1, "first")]
    assert room.pager.updates(case.id) == [("first", "acknowledged by ada")]


async def test_escalates_again_when_acknowledged_but_not_resolved(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(Phase.ACKNOWLEDGED)
    await room.skip(HOUR + MINUTE)

    await case.until_paged((1, "first"), (1, "first"))
    assert (await case.state()).phase is Phase.TRIGGERED
    await case.until_said("acknowledged for 1h by ada and not resolved")


async def test_a_target_that_is_away_holds_up_no_other(room: Room) -> None:
    room.pager.away.add("first")
    case = await room.open()
    await room.skip(11 * MINUTE)
    await case.until_paged((2, "second"))
    room.pager.away.clear()
    await room.skip(MINUTE)

    await case.until_paged((2, "second"), (1, "first"))


async def test_a_page_that_is_still_tried_is_dropped_by_an_acknowledge(room: Room) -> None:
    room.pager.away.add("first")
    case = await room.open()
    await until(lambda: _tried(room), "an attempt")
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(Phase.ACKNOWLEDGED)
    room.pager.away.clear()
    await room.skip(30 * MINUTE)

    assert case.pages == []


async def _tried(room: Room) -> bool:
    return bool(room.pager.attempts)


async def test_where_nobody_of_a_level_can_be_told_the_next_is_paged_at_once(room: Room) -> None:
    room.pager.refusing.add("first")
    case = await room.open()
    await case.until_said("first could not be told: first says no")

    await case.until_paged((2, "second"))
    await case.until_said("nobody of level 1 could be told: level 2 is due now")


async def test_where_one_of_a_level_was_told_the_next_comes_in_its_time(room: Room) -> None:
    room.pager.refusing.add("first")
    rules = IncidentRules(levels=(a_level("first", "other"), a_level("second")), repeat=0)
    case = await room.open(rules)
    await case.until_said("first could not be told: first says no")
    await case.until_paged((1, "other"))
    await room.skip(11 * MINUTE)

    await case.until_paged((1, "other"), (2, "second"))


async def test_resolves_when_all_that_fired_has_cleared_and_closes_after_the_reopen_window(room: Room) -> None:
    case = await room.open(THREE_LEVELS, an_alert("one", "one"), an_alert("two", "two"))
    await case.until_paged((1, "first"))
    await case.clear(an_alert("one", "one"))
    await case.until_said("cleared: one")
    assert (await case.state()).phase is Phase.TRIGGERED
    await case.clear(an_alert("two", "two"))
    await case.until_phase(Phase.RESOLVED)
    outcome = await case.result()

    assert outcome.closed_at
    assert outcome.resolved_at
    assert outcome.closed_at - outcome.resolved_at >= 30 * MINUTE
    assert room.pager.updates(case.id) == [("first", "everything that fired has cleared")]


async def test_reopens_when_it_fires_again_within_the_window(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.clear()
    await case.until_phase(Phase.RESOLVED)
    await room.skip(20 * MINUTE)
    await case.fire()
    await case.until_phase(Phase.TRIGGERED)

    await case.until_paged((1, "first"), (1, "first"))


async def test_after_its_end_the_same_key_is_a_new_incident(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.RESOLVE)
    before = await case.result()
    await case.fire()

    assert (await case.state()).opened_at > before.opened_at
    assert (await case.state()).count == 1


async def test_many_alerts_are_one_incident_with_a_count_and_a_request_counts_once(room: Room) -> None:
    case = await room.open(THREE_LEVELS)
    for _ in range(20):
        await case.fire(*[an_alert()] * 5, request="")
    for _ in range(3):
        await case.fire(an_alert(), request="request-1")

    state = await case.state()
    assert state.count == 1 + 100 + 1
    assert len(state.alerts) == 1


async def test_a_graver_alert_raises_it_and_hastens_the_next_level(room: Room) -> None:
    rules = IncidentRules(levels=(a_level("first", wait=None), a_level("second")), repeat=0)
    case = await room.open(rules, severity=Severity.SEV3)
    await case.until_paged((1, "first"))
    await case.fire(severity=Severity.SEV1)
    await case.until_said("raised from SEV3 to SEV1")
    await room.skip(11 * MINUTE)

    await case.until_paged((1, "first"), (2, "second"))


async def test_escalate_pages_the_next_level_now_also_when_acknowledged(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.ESCALATE)
    await case.until_paged((1, "first"), (2, "second"))
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.until_phase(Phase.ACKNOWLEDGED)
    await case.say(IncidentSignal.ESCALATE, Order(by="ada", note="too big for me"))
    await case.until_paged((1, "first"), (2, "second"), (3, "third"))

    assert (await case.state()).phase is Phase.TRIGGERED


async def test_a_snooze_is_quiet_and_then_begins_anew(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.SNOOZE, Snooze(by="ada", lasting=HOUR))
    await case.until_said("snoozed until")
    await room.skip(59 * MINUTE)
    assert case.pages == [(1, "first")]
    await room.skip(2 * MINUTE)

    await case.until_paged((1, "first"), (1, "first"))


async def test_unsnoozed_it_pages_at_once(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.SNOOZE, Snooze(by="ada", lasting=HOUR))
    await case.say(IncidentSignal.UNSNOOZE)

    await case.until_paged((1, "first"), (1, "first"))


async def test_opens_only_after_several_alerts(room: Room) -> None:
    case = await room.open(AFTER_THREE)
    await case.fire()
    await case.until_phase(Phase.PENDING)
    await room.skip(4 * MINUTE)
    assert case.pages == []
    await case.fire()

    await case.until_paged((1, "first"))


async def test_too_few_alerts_are_forgotten(room: Room) -> None:
    case = await room.open(AFTER_THREE)
    await case.until_phase(Phase.PENDING)
    await case.result()

    assert case.pages == []


async def test_what_flaps_stays_open_until_it_is_quiet(room: Room) -> None:
    rules = THREE_LEVELS.model_copy(update={"flapping": FlapSpec(changes=4, within=10 * MINUTE)})
    case = await room.open(rules)
    await case.until_paged((1, "first"))
    await case.clear()
    await case.until_phase(Phase.RESOLVED)
    await case.fire()
    await case.until_paged((1, "first"), (1, "first"))
    await case.clear()
    await case.until_said("it flaps (4 changes)")
    assert (await case.state()).phase is Phase.TRIGGERED
    await room.skip(11 * MINUTE)

    await case.until_said("it has stopped flapping")
    assert (await case.state()).phase is Phase.RESOLVED


async def test_missing_the_response_target_is_written_down(room: Room) -> None:
    case = await room.open()
    await room.skip(16 * MINUTE)

    await case.until_said("nobody has acknowledged it within 15m, the target for SEV2")


async def test_people_take_roles_and_tasks(room: Room) -> None:
    case = await room.open()
    await case.say(IncidentSignal.ASSIGN, Assign(by="ada", role=Role.COMMANDER, person="grace"))
    await case.say(IncidentSignal.ASSIGN, {"person": "linus"})
    await case.say(IncidentSignal.ADD_TASK, {"text": "look at the database", "by": "grace"})
    await case.say(IncidentSignal.FINISH_TASK, FinishTask(by="linus", number=1))
    await case.say(IncidentSignal.NOTE, Note(by="ada", text="it was the cable"))
    await case.until_said("it was the cable")

    state = await case.state()
    assert (state.commander, state.responders) == ("grace", ("linus",))
    assert state.tasks[0].done_by == "linus"


async def test_what_makes_no_sense_is_written_down_and_changes_nothing(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    before = await case.state()
    nonsense: list[tuple[IncidentSignal | str, object]] = [
        (IncidentSignal.UNSNOOZE, ADA),
        (IncidentSignal.SNOOZE, {"for": "0s"}),
        (IncidentSignal.SNOOZE, {"for": "soon"}),
        (IncidentSignal.FINISH_TASK, {"number": 7}),
        (IncidentSignal.NOTE, {}),
        (IncidentSignal.SPLIT, ADA),
        (IncidentSignal.MERGE, "rollout/local/shop"),
        (IncidentSignal.MERGE, case.id),
        (IncidentSignal.FIRED, {"alerts": 5}),
        (IncidentSignal.FIRED, ["nothing"]),
        (IncidentSignal.ACKNOWLEDGE, [1, 2]),
        (IncidentSignal.CLEARED, {"alerts": [an_alert("strange", "strange").model_dump(mode="json")]}),
        ("explode", {"now": True}),
    ]
    for signal, payload in nonsense:
        await case.handle.signal(signal, payload)
    await case.handle.signal(IncidentSignal.ACKNOWLEDGE, args=[1, 2, 3])
    await case.until_said("explode changes nothing")

    async def all_written() -> bool:
        return len(await case.timeline()) == len(before.timeline) + len(nonsense) + 1

    await until(all_written, "every one on the timeline")
    after = await case.state()
    added = {"timeline", "entries", "requests"}
    assert after.model_dump(exclude=added) == before.model_dump(exclude=added)
    assert all("changes nothing" in entry.text for entry in after.timeline[len(before.timeline) :])


async def test_a_cancellation_changes_nothing(room: Room) -> None:
    case = await room.open()
    await case.handle.cancel()
    await case.until_said("cancel changes nothing")
    await room.skip(11 * MINUTE)

    await case.until_paged((1, "first"), (2, "second"))


async def test_merged_it_pages_nobody_and_is_over_with_the_other(room: Room) -> None:
    part, whole = await room.open(), await room.open()
    await part.until_paged((1, "first"))
    await part.say(IncidentSignal.MERGE, {"into": whole.id, "by": "ada"})
    await whole.until_said(f"{part.id} is merged into this one")
    await room.skip(HOUR)
    assert part.pages == [(1, "first")]
    assert len(whole.pages) == 3
    await whole.clear()
    await whole.until_said("cleared")
    assert (await whole.state()).phase is Phase.TRIGGERED, "a part of it still fires"
    await whole.say(IncidentSignal.RESOLVE)

    await part.until_phase(Phase.RESOLVED)
    await whole.until_phase(Phase.RESOLVED)


async def test_split_it_goes_its_own_way_again(room: Room) -> None:
    part, whole = await room.open(), await room.open()
    await part.until_paged((1, "first"))
    await part.say(IncidentSignal.MERGE, whole.id)
    await whole.until_said("is merged into this one")
    await part.say(IncidentSignal.SPLIT)

    await part.until_paged((1, "first"), (1, "first"))
    await whole.until_said("goes its own way again")
    assert (await whole.state()).parts == {}


async def test_merged_into_what_does_not_exist_it_pages_by_itself(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.MERGE, "incident/local/shop/never-was")

    await case.until_paged((1, "first"), (1, "first"))
    await case.until_said("no such incident is open")


async def test_everything_is_recorded(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))
    await case.say(IncidentSignal.ACKNOWLEDGE)
    await case.say(IncidentSignal.RESOLVE)
    await case.result()

    async def closed() -> bool:
        return bool(room.pager.pictures) and room.pager.pictures[-1].phase is Phase.CLOSED

    await until(closed, "the last picture")
    numbers = {entry.number for picture in room.pager.pictures for entry in picture.timeline}
    assert numbers == set(range(1, max(numbers) + 1))
    keys = {each.notification.key for picture in room.pager.pictures for each in picture.notifications}
    assert keys == set(room.pager.attempts)
    assert room.pager.timeline(case.id)[-1] == "closed"


async def test_it_is_recorded_although_a_page_is_not_taken(room: Room) -> None:
    room.pager.hanging.add("first")
    case = await room.open()

    async def recorded() -> bool:
        await room.skip(timedelta(seconds=1))
        return "opened as SEV2: error rate is high" in room.pager.timeline(case.id)

    try:
        await until(recorded, "the incident in the records")
    finally:
        room.pager.hanging.clear()
    await case.until_paged((1, "first"))


async def test_what_is_sent_is_in_the_first_picture(room: Room) -> None:
    case = await room.open()
    await case.until_paged((1, "first"))

    async def recorded() -> bool:
        return any(picture.workflow_id == case.id for picture in room.pager.pictures)

    await until(recorded, "the first picture")
    first = next(picture for picture in room.pager.pictures if picture.workflow_id == case.id)
    assert [each.notification.target.name for each in first.notifications] == ["first"]


async def test_one_signal_may_bring_alerts_of_several_requests_each_counted_once(room: Room) -> None:
    case = await room.open()
    said = [AlertSignal(alerts=(an_alert(),), request=name) for name in ("one", "two", "one")]
    await case.handle.signal(IncidentSignal.FIRED, args=said)
    await case.handle.signal(IncidentSignal.FIRED, args=said[:1])

    async def heard() -> bool:
        return len((await case.state()).requests) == 2

    await until(heard, "both requests to be heard")
    assert (await case.state()).count == 3
