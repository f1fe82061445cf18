"""Alerts that an incident holds: they page nobody, open it once nothing keeps them, and none is forgotten."""

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from analysis.incident_alerts import cleared, fired, opened
from analysis.incident_held import held, joined, looked
from analysis.incident_list import key_of
from analysis.incident_orders import acknowledged, resolved_by
from analysis.incident_time import next_due, passed
from analysis.incident_view import details_markdown, headline
from models.alert import Alert, AlertStatus
from models.held import LARGEST_HELD, LOOK_AGAIN, MOST_HELD, HeldSignal, Hold, LookedAgain, Placement
from models.incident import IncidentRules, IncidentState, Order, Phase
from models.incident_spec import OpenAfter
from models.severity import Severity
from tests.analysis.incident_factories import a_held, a_level, a_request, an_alert, holding, later, signalled
from tests.factories import WHEN

ADA = Order(by="ada")
RULES = IncidentRules(levels=(a_level("first"),))
A, B = an_alert("a is slow", "a"), an_alert("b is slow", "b")
CLEARED = AlertStatus.CLEARED
MOVE = Hold(why="the silence move is in force until 14:00")


def silenced(*alerts: Alert, hold: Hold = MOVE, severity: Severity = Severity.SEV2, request: str = "") -> HeldSignal:
    return holding(*(a_held(alert, hold, severity) for alert in alerts or (A,)), request=request)


def one_that_holds(*alerts: Alert, rules: IncidentRules = RULES, hold: Hold = MOVE) -> IncidentState:
    return held(opened(a_request(rules, held=True), WHEN), rules, silenced(*alerts, hold=hold), WHEN)


def placed(*alerts: Alert, **how: object) -> LookedAgain:
    usual = {"before": MOVE, "severity": Severity.SEV2}
    return LookedAgain(placements={key_of(alert): Placement.model_validate({**usual, **how}) for alert in alerts})


def still(*alerts: Alert, hold: Hold = MOVE) -> LookedAgain:
    return placed(*alerts, before=hold, hold=hold)


def free(*alerts: Alert) -> LookedAgain:
    return placed(*alerts)


def cleared_by(state: IncidentState, *alerts: Alert, at: datetime) -> IncidentState:
    return cleared(state, RULES, signalled(*(each.model_copy(update={"status": CLEARED}) for each in alerts)), at)


def said(state: IncidentState) -> list[str]:
    return [entry.text for entry in state.timeline]


def test_it_is_pending_says_why_and_pages_nobody() -> None:
    state = passed(one_that_holds(A, B), RULES, later(1))

    assert (state.phase, state.count, state.outbox) == (Phase.PENDING, 0, ())
    assert headline(state) == "pending: the silence move is in force until 14:00"
    assert said(state) == ["held: a is slow; b is slow: the silence move is in force until 14:00"]
    assert "- a is slow: the silence move" in details_markdown(state)
    refused = acknowledged(state, RULES, ADA, later(1))
    assert "changes nothing: it is pending: the silence move is in force" in said(refused)[-1]


def test_it_is_not_over_before_it_has_heard_what_it_holds() -> None:
    state = opened(a_request(RULES, held=True), WHEN)

    assert passed(state, RULES, WHEN).phase is Phase.PENDING
    assert passed(state, RULES, later(1)).phase is Phase.CLOSED


def test_it_is_looked_again_when_the_hold_is_to_end_and_every_few_minutes() -> None:
    ends = MOVE.model_copy(update={"until": later(2)})
    state = one_that_holds(A, hold=ends)
    assert next_due(state, RULES) == later(2)
    state = passed(state, RULES, later(2))
    assert (state.looking, state.looks, state.look_due) == (True, 1, None)
    assert passed(state, RULES, later(9)) is state
    state = looked(state, RULES, placed(A, before=ends, hold=MOVE), later(2))
    assert (state.looking, next_due(state, RULES)) == (False, later(2) + LOOK_AGAIN)
    assert passed(state, RULES, later(7)).looks == 2


def test_a_hold_that_has_ended_by_one_clock_alone_is_looked_at_again_soon() -> None:
    ended = MOVE.model_copy(update={"until": later(0)})
    state = passed(one_that_holds(A, hold=ended), RULES, later(1))
    state = looked(state, RULES, still(A, hold=ended), later(1))

    due = next_due(state, RULES)
    assert due is not None
    assert later(1) < due < later(1) + timedelta(seconds=10)


def test_once_nothing_keeps_it_it_opens_and_pages() -> None:
    state = looked(passed(one_that_holds(A), RULES, later(5)), RULES, free(A, B), later(5))

    assert (state.phase, state.count, state.held) == (Phase.TRIGGERED, 1, {})
    assert state.alerts[key_of(A)].fires
    assert state.escalation
    assert said(state)[1:] == [
        "nothing keeps it any more: a is slow",
        "fired: a is slow",
        "opened as SEV2: a is slow",
    ]


def test_as_many_as_its_route_asks_for_must_be_free() -> None:
    rules = IncidentRules(open_after=OpenAfter(alerts=2, within=timedelta(minutes=9)))
    state = looked(passed(one_that_holds(A, rules=rules), rules, later(5)), rules, free(A, B), later(5))

    assert (state.phase, state.count) == (Phase.PENDING, 1)
    assert fired(state, rules, signalled(B), later(6)).phase is Phase.TRIGGERED


def test_one_that_cleared_while_it_was_asked_for_opens_nothing() -> None:
    state = passed(one_that_holds(A, B), RULES, later(5))
    state = cleared_by(state, A, at=later(5))
    state = looked(state, RULES, still(B), later(5))
    assert (state.phase, list(state.held), state.strange) == (Phase.PENDING, [key_of(B)], 0)
    state = cleared_by(state, B, at=later(6))
    state = looked(passed(state, RULES, later(6)), RULES, free(A, B), later(6))

    assert (state.phase, state.count) == (Phase.CLOSED, 0)
    assert said(state)[-1] == "not opened: nothing that it held fires any more"


def test_one_that_comes_while_it_was_asked_for_others_waits_for_the_next_look() -> None:
    state = passed(one_that_holds(A), RULES, later(5))
    state = held(state, RULES, silenced(B), later(5))
    state = looked(state, RULES, still(A), later(5))

    assert list(state.held) == [key_of(A), key_of(B)]


def test_what_belongs_to_another_incident_by_now_is_left_to_that_one() -> None:
    found = placed(A, moved_to="incident/local/shop/other")
    state = looked(passed(one_that_holds(A), RULES, later(5)), RULES, found, later(5))
    state = passed(state, RULES, later(5))

    assert (state.phase, state.count) == (Phase.CLOSED, 0)
    assert "not held any more: a is slow went to incident/local/shop/other" in said(state)


def test_another_alert_opens_it_and_what_it_holds_joins() -> None:
    state = held(opened(a_request(RULES, held=True), WHEN), RULES, silenced(A, severity=Severity.SEV1), WHEN)
    state = joined(fired(state, RULES, signalled(B), later(1)), RULES, later(1))

    assert (state.phase, state.count, state.severity, state.held) == (Phase.TRIGGERED, 2, Severity.SEV1, {})
    assert all(alert.fires for alert in state.alerts.values())


def test_an_open_incident_holds_nothing_and_counts_a_request_once() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(B), WHEN)
    state = held(state, RULES, silenced(A, request="r"), later(1))
    state = held(state, RULES, silenced(A, request="r"), later(1))

    assert (state.count, state.held) == (2, {})


def test_resolved_it_stays_until_what_it_holds_is_over_and_opens_again() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(A), WHEN)
    state = resolved_by(state, RULES, ADA, later(1))
    state = held(state, RULES, silenced(A), later(2))
    state = passed(state, RULES, later(240))
    assert (state.phase, state.looking) == (Phase.RESOLVED, True)
    assert looked(state, RULES, free(A, B), later(240)).phase is Phase.TRIGGERED
    kept = looked(state, RULES, still(A), later(240))
    gone = cleared_by(kept, A, at=later(241))
    assert passed(gone, RULES, later(241)).phase is Phase.CLOSED


def test_closed_and_not_ended_yet_it_takes_what_is_to_be_held() -> None:
    for state in (
        passed(opened(a_request(RULES, held=True), WHEN), RULES, later(1)),
        passed(resolved_by(opened(a_request(RULES), WHEN), RULES, ADA, WHEN), RULES, later(60)),
    ):
        assert state.phase is Phase.CLOSED
        after = held(state, RULES, silenced(A), later(60))
        assert not after.phase.open
        assert passed(after, RULES, later(60)) is after
        assert looked(passed(after, RULES, later(65)), RULES, free(A, B), later(65)).phase is Phase.TRIGGERED


def test_a_person_who_resolves_it_ends_what_it_holds() -> None:
    state = resolved_by(one_that_holds(A), RULES, ADA, later(1))
    assert (state.phase, state.held) == (Phase.RESOLVED, {})
    state = resolved_by(held(state, RULES, silenced(B), later(2)), RULES, ADA, later(3))
    assert (state.phase, state.held) == (Phase.RESOLVED, {})
    assert said(state)[-1] == "resolved by ada: what it held is over"


def test_what_nobody_sends_again_is_let_go_of_after_hold_for() -> None:
    rules = IncidentRules(hold_for=timedelta(hours=1))
    state = held(one_that_holds(A, B, rules=rules), rules, silenced(B), later(30))
    state = looked(passed(state, rules, later(59)), rules, still(A, B), later(59))
    state = passed(state, rules, later(60))
    assert list(state.held) == [key_of(B)]
    assert "not held any more: a is slow was not sent again for too long" in said(state)
    assert passed(state, rules, later(90)).phase is Phase.CLOSED


def test_what_one_incident_holds_is_bounded_and_says_so() -> None:
    many = [an_alert(f"alert {number}", f"alert-{number}") for number in range(MOST_HELD + 3)]
    state = one_that_holds(*many)
    assert len(state.held) == MOST_HELD
    assert said(state)[-1].startswith("not held: alert 200; alert 201; alert 202: more than an incident holds")
    large = [an_alert(f"large {n}", f"l-{n}", labels={f"k{i}": "x" * 1_000 for i in range(60)}) for n in range(10)]
    state = one_that_holds(*large)
    assert 0 < len(state.held) < 10
    assert sum(len(each.model_dump_json()) for each in state.held.values()) <= LARGEST_HELD
    state = held(state, RULES, silenced(*large[:3]), later(1))
    assert "large 0" not in said(state)[-1], "what is held is held on to when it comes again"


def test_one_that_is_sent_again_and_again_keeps_no_other_from_being_looked_at() -> None:
    state = one_that_holds(A, B)
    for minute in range(1, 5):
        state = passed(held(state, RULES, silenced(B), later(minute)), RULES, later(minute))

    assert next_due(state, RULES) == WHEN + LOOK_AGAIN


def test_an_answer_about_an_older_hold_does_not_count() -> None:
    state = passed(one_that_holds(A), RULES, later(5))
    anew = Hold(why="somebody has silenced it anew")
    state = held(state, RULES, silenced(A, hold=anew), later(5))
    state = looked(state, RULES, free(A), later(6))

    assert (state.phase, [each.hold for each in state.held.values()]) == (Phase.PENDING, [anew])
    assert next_due(state, RULES) is not None
    moved = looked(state, RULES, placed(A, moved_to="incident/local/shop/other"), later(6))
    assert moved.held == state.held


def test_it_is_called_by_what_opens_it_and_is_as_grave() -> None:
    gone = an_alert("the database is gone", "gone", description="all of it")
    state = held(
        opened(a_request(RULES, Severity.SEV1, title=gone.title, held=True), WHEN), RULES, silenced(gone), WHEN
    )
    state = held(state, RULES, silenced(B, severity=Severity.SEV4), WHEN)
    by_another = fired(state, RULES, signalled(A, severity=Severity.SEV3), later(1))
    assert (by_another.title, by_another.severity) == (A.title, Severity.SEV3)
    state = cleared_by(state, gone, at=later(1))
    state = looked(passed(state, RULES, later(5)), RULES, placed(B, severity=Severity.SEV3), later(5))
    assert (state.title, state.description, state.severity) == (B.title, "", Severity.SEV3)
    assert said(state)[-1] == "opened as SEV3: b is slow"
    later_on = fired(state, RULES, signalled(gone, severity=Severity.SEV1), later(6))
    assert (later_on.title, later_on.severity) == (B.title, Severity.SEV1)


def test_of_nothing_nothing_is_asked() -> None:
    state = passed(one_that_holds(A), RULES, later(5))
    state = passed(cleared_by(state, A, at=later(5)), RULES, later(5))
    assert (state.looking, state.look_due) == (False, None)
    state = looked(passed(state, RULES, later(5)), RULES, free(A), later(6))
    assert (state.phase, state.count) == (Phase.CLOSED, 0)


def test_a_request_that_is_sent_again_says_nothing_new_of_what_cleared_in_it() -> None:
    cleared_in_it = signalled(A.model_copy(update={"status": CLEARED}), request="r")
    state = opened(a_request(RULES, held=True), WHEN)
    again = silenced(A, request="r").model_copy(update={"clears": (key_of(A),)})
    for _ in range(2):
        state = cleared(held(state, RULES, again, later(1)), RULES, cleared_in_it, later(1))
    assert not state.held
    state = opened(a_request(RULES), WHEN)
    fires = signalled(A, request="r").model_copy(update={"clears": (key_of(A),)})
    for _ in range(2):
        state = cleared(fired(state, RULES, fires, later(1)), RULES, cleared_in_it, later(1))
    assert not state.firing


def test_a_late_retry_clears_nothing_that_fires_by_now() -> None:
    late, its_clear = signalled(A, request="r"), signalled(B.model_copy(update={"status": CLEARED}), request="r")
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(B), WHEN)
    state = cleared(fired(state, RULES, late, later(1)), RULES, its_clear, later(1))
    state = cleared_by(fired(state, RULES, signalled(B), later(2)), A, at=later(3))
    state = cleared(fired(state, RULES, late, later(4)), RULES, its_clear, later(4))
    assert state.alerts[key_of(B)].fires


def test_one_that_is_sent_again_and_free_is_called_as_it_was_told_first() -> None:
    told = an_alert("a is slow", "a", description="see the runbook", links=[{"url": "https://runbook.example/a"}])
    state = fired(one_that_holds(told), RULES, signalled(A), later(1))
    assert (state.description, state.links) == (told.description, told.links)


def test_what_nobody_can_reckon_with_is_not_understood() -> None:
    alert = a_held(A).model_dump(mode="json")
    for wrong in (
        {"request": "r" * 201},
        {"alerts": [{**alert, "hold": {"why": "w", "until": "2026-02-01T00:00:00"}}]},
        {"alerts": [{**alert, "size": -1}]},
        {"front_door": ""},
    ):
        with pytest.raises(ValidationError):
            HeldSignal.model_validate({"alerts": [alert], "front_door": "front-door/local", **wrong})
    forever = IncidentRules(hold_for=timedelta(days=3_000_000))
    assert passed(one_that_holds(A, rules=forever), forever, later(5)).looking


def test_what_finds_no_room_is_said_once() -> None:
    state = one_that_holds(*(an_alert(f"alert {number}", f"alert-{number}") for number in range(MOST_HELD)))
    before = state.entries
    for minute in range(1, 5):
        state = held(state, RULES, silenced(A, B), later(minute))
    assert (state.entries, state.unheld) == (before + 1, 8)


def test_what_grows_beyond_all_room_is_held_as_it_was() -> None:
    state = one_that_holds(A)
    huge = a_held(A.model_copy(update={"labels": {"a": "b"}}), Hold(why="anew"))
    huge = huge.model_copy(update={"size": LARGEST_HELD + 1})
    state = held(state, RULES, holding(huge), later(1))
    (kept,) = state.held.values()
    assert (kept.alert, kept.hold.why, kept.heard_at) == (A, "anew", later(1))


def test_what_cannot_be_asked_is_asked_later() -> None:
    state = looked(passed(one_that_holds(A), RULES, later(5)), RULES, LookedAgain(), later(5))
    assert (state.looking, next_due(state, RULES), list(state.held)) == (False, later(5) + LOOK_AGAIN, [key_of(A)])
