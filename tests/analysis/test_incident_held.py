"""Alerts that an incident holds: they page nobody, open it once nothing keeps them, and none is forgotten."""

from datetime import timedelta

from analysis.incident_alerts import cleared, fired, opened
from analysis.incident_held import held, joined, looked, question
from analysis.incident_list import key_of
from analysis.incident_orders import acknowledged, resolved_by
from analysis.incident_time import next_due, passed
from analysis.incident_view import details_markdown, headline
from models.alert import Alert, AlertStatus
from models.held import LARGEST_HELD, LOOK_AGAIN, MOST_HELD, HeldAlert, HeldSignal, Hold, LookedAgain
from models.incident import IncidentRules, IncidentState, Order, Phase
from models.incident_spec import OpenAfter
from models.severity import Severity
from tests.analysis.incident_factories import a_level, a_request, an_alert, later, signalled
from tests.factories import WHEN

ADA = Order(by="ada")
RULES = IncidentRules(levels=(a_level("first"),))
A, B = an_alert("a is slow", "a"), an_alert("b is slow", "b")
FREE = LookedAgain(free=(key_of(A), key_of(B)))
MOVE = Hold(why="the silence move is in force until 14:00")


def holding(*alerts: Alert, hold: Hold = MOVE, severity: Severity = Severity.SEV2, request: str = "") -> HeldSignal:
    each = (HeldAlert(alert=alert, severity=severity, hold=hold) for alert in alerts or (A,))
    return HeldSignal(alerts=tuple(each), front_door="front-door/local", request=request)


def one_that_holds(*alerts: Alert, rules: IncidentRules = RULES, hold: Hold = MOVE) -> IncidentState:
    return held(opened(a_request(rules, held=True), WHEN), rules, holding(*alerts, hold=hold), WHEN)


def still(*alerts: Alert, hold: Hold = MOVE) -> LookedAgain:
    return LookedAgain(held={key_of(alert): hold for alert in alerts})


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
    assert state.looking
    assert question(state, "run") == question(passed(state, RULES, later(9)), "run")
    state = looked(state, RULES, still(A), later(2))
    assert (state.looking, next_due(state, RULES)) == (False, later(2) + LOOK_AGAIN)
    again = passed(state, RULES, later(7))
    assert question(again, "run").request == "run/held/2"


def test_a_hold_that_has_ended_by_one_clock_alone_is_looked_at_again_soon() -> None:
    ended = MOVE.model_copy(update={"until": later(0)})
    state = passed(one_that_holds(A, hold=ended), RULES, later(1))
    state = looked(state, RULES, still(A, hold=ended), later(1))

    due = next_due(state, RULES)
    assert due is not None
    assert later(1) < due < later(1) + timedelta(seconds=10)


def test_once_nothing_keeps_it_it_opens_and_pages() -> None:
    state = looked(passed(one_that_holds(A), RULES, later(5)), RULES, FREE, later(5))

    assert (state.phase, state.count, state.held) == (Phase.TRIGGERED, 1, {})
    assert state.alerts[key_of(A)].fires
    assert state.escalation
    assert said(state)[1:] == [
        "nothing keeps it any more: a is slow",
        "fired: a is slow",
        "opened as SEV2: error rate is high",
    ]


def test_as_many_as_its_route_asks_for_must_be_free() -> None:
    rules = IncidentRules(open_after=OpenAfter(alerts=2, within=timedelta(minutes=9)))
    state = looked(passed(one_that_holds(A, rules=rules), rules, later(5)), rules, FREE, later(5))

    assert (state.phase, state.count) == (Phase.PENDING, 1)
    assert fired(state, rules, signalled(B), later(6)).phase is Phase.TRIGGERED


def test_one_that_cleared_while_it_was_asked_for_opens_nothing() -> None:
    state = passed(one_that_holds(A, B), RULES, later(5))
    state = cleared(state, RULES, signalled(A.model_copy(update={"status": AlertStatus.CLEARED})), later(5))
    state = looked(state, RULES, still(B), later(5))
    assert (state.phase, list(state.held), state.strange) == (Phase.PENDING, [key_of(B)], 0)
    state = cleared(state, RULES, signalled(B.model_copy(update={"status": AlertStatus.CLEARED})), later(6))
    state = looked(passed(state, RULES, later(6)), RULES, FREE, later(6))

    assert (state.phase, state.count) == (Phase.CLOSED, 0)
    assert said(state)[-1] == "not opened: nothing that it held fires any more"


def test_one_that_comes_while_it_was_asked_for_others_waits_for_the_next_look() -> None:
    state = passed(one_that_holds(A), RULES, later(5))
    state = held(state, RULES, holding(B), later(5))
    state = looked(state, RULES, still(A), later(5))

    assert list(state.held) == [key_of(A), key_of(B)]


def test_what_belongs_to_another_incident_by_now_is_left_to_that_one() -> None:
    found = LookedAgain(elsewhere={key_of(A): "incident/local/shop/other"})
    state = looked(passed(one_that_holds(A), RULES, later(5)), RULES, found, later(5))
    state = passed(state, RULES, later(5))

    assert (state.phase, state.count) == (Phase.CLOSED, 0)
    assert "not held any more: a is slow went to incident/local/shop/other" in said(state)


def test_another_alert_opens_it_and_what_it_holds_joins() -> None:
    state = held(opened(a_request(RULES, held=True), WHEN), RULES, holding(A, severity=Severity.SEV1), WHEN)
    state = joined(fired(state, RULES, signalled(B), later(1)), RULES, later(1))

    assert (state.phase, state.count, state.severity, state.held) == (Phase.TRIGGERED, 2, Severity.SEV1, {})
    assert all(alert.fires for alert in state.alerts.values())


def test_an_open_incident_holds_nothing_and_counts_a_request_once() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(B), WHEN)
    state = held(state, RULES, holding(A, request="r"), later(1))
    state = held(state, RULES, holding(A, request="r"), later(1))

    assert (state.count, state.held) == (2, {})


def test_resolved_it_stays_until_what_it_holds_is_over_and_opens_again() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(A), WHEN)
    state = resolved_by(state, RULES, ADA, later(1))
    state = held(state, RULES, holding(A), later(2))
    state = passed(state, RULES, later(240))
    assert (state.phase, state.looking) == (Phase.RESOLVED, True)
    assert looked(state, RULES, FREE, later(240)).phase is Phase.TRIGGERED
    kept = looked(state, RULES, still(A), later(240))
    gone = cleared(kept, RULES, signalled(A.model_copy(update={"status": AlertStatus.CLEARED})), later(241))
    assert passed(gone, RULES, later(241)).phase is Phase.CLOSED


def test_closed_and_not_ended_yet_it_takes_what_is_to_be_held() -> None:
    for state in (
        passed(opened(a_request(RULES, held=True), WHEN), RULES, later(1)),
        passed(resolved_by(opened(a_request(RULES), WHEN), RULES, ADA, WHEN), RULES, later(60)),
    ):
        assert state.phase is Phase.CLOSED
        after = held(state, RULES, holding(A), later(60))
        assert not after.phase.open
        assert passed(after, RULES, later(60)) is after
        assert looked(passed(after, RULES, later(65)), RULES, FREE, later(65)).phase is Phase.TRIGGERED


def test_a_person_who_resolves_it_ends_what_it_holds() -> None:
    state = resolved_by(one_that_holds(A), RULES, ADA, later(1))
    assert (state.phase, state.held) == (Phase.RESOLVED, {})
    state = resolved_by(held(state, RULES, holding(B), later(2)), RULES, ADA, later(3))
    assert (state.phase, state.held) == (Phase.RESOLVED, {})
    assert said(state)[-1] == "resolved by ada: what it held is over"


def test_what_nobody_sends_again_is_let_go_of_after_hold_for() -> None:
    rules = IncidentRules(hold_for=timedelta(hours=1))
    state = held(one_that_holds(A, B, rules=rules), rules, holding(B), later(30))
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
    state = held(state, RULES, holding(*large[:3]), later(1))
    assert "large 0" not in said(state)[-1], "what is held is held on to when it comes again"
