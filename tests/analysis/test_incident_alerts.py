"""What alerts do to an incident that has ended, or that has lived for long."""

from datetime import timedelta

from analysis.incident_alerts import cleared, fired, opened, strange_noted
from analysis.incident_orders import resolved_by
from analysis.incident_time import passed
from models.incident import MOST_TRACKED, IncidentRules, IncidentState, Order, Phase
from models.incident_spec import OpenAfter
from tests.analysis.incident_factories import a_request, an_alert, later, signalled
from tests.factories import WHEN

ADA = Order(by="ada")
RULES = IncidentRules()
AFTER_TWO = IncidentRules(open_after=OpenAfter(alerts=2, within=timedelta(minutes=5)))


def a_pending_one() -> IncidentState:
    return fired(opened(a_request(AFTER_TWO), WHEN), AFTER_TWO, signalled(), WHEN)


def test_one_alert_does_not_open_what_was_resolved_before_it_was_opened() -> None:
    state = resolved_by(a_pending_one(), AFTER_TWO, ADA, later(1))
    state = fired(state, AFTER_TWO, signalled(), later(2))
    assert (state.phase, state.resolved_at) == (Phase.PENDING, None)

    assert fired(state, AFTER_TWO, signalled(), later(3)).phase is Phase.TRIGGERED
    assert passed(state, AFTER_TWO, later(10)).phase is Phase.CLOSED


def test_one_alert_does_not_open_what_was_just_forgotten() -> None:
    state = passed(a_pending_one(), AFTER_TWO, later(6))
    assert state.phase is Phase.CLOSED
    state = fired(state, AFTER_TWO, signalled(), later(6))
    assert (state.phase, state.closed_at) == (Phase.PENDING, None)

    assert fired(state, AFTER_TWO, signalled(), later(7)).phase is Phase.TRIGGERED


def test_enough_alerts_at_once_open_what_was_forgotten() -> None:
    state = passed(a_pending_one(), AFTER_TWO, later(6))

    assert fired(state, AFTER_TWO, signalled(an_alert(), an_alert()), later(6)).phase is Phase.TRIGGERED


def test_however_many_alerts_came_and_cleared_it_resolves_once_nothing_fires() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(an_alert("stays", "stays")), WHEN)
    for number in range(MOST_TRACKED + 10):
        alert = an_alert(f"alert {number}", f"alert-{number}")
        state = fired(state, RULES, signalled(alert), later(number)).model_copy(update={"timeline": ()})
        state = cleared(state, RULES, signalled(alert), later(number)).model_copy(update={"timeline": ()})
    assert (len(state.alerts), state.untracked, state.phase) == (MOST_TRACKED, 0, Phase.TRIGGERED)
    assert "alertmanager:stays" in state.alerts
    assert "alertmanager:alert-0" not in state.alerts, "what cleared longest ago makes room"

    assert cleared(state, RULES, signalled(an_alert("stays", "stays")), later(2_000)).phase is Phase.RESOLVED


def test_an_alert_that_fires_again_in_the_same_request_leaves_its_place_to_nobody() -> None:
    many = [an_alert(f"alert {number}", f"alert-{number}") for number in range(MOST_TRACKED)]
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(*many), WHEN)
    state = cleared(state, RULES, signalled(*many[:2]), later(1))
    state = fired(state, RULES, signalled(many[0], an_alert("new", "new"), an_alert("newer", "newer")), later(2))

    assert state.alerts["alertmanager:alert-0"].fires
    assert "alertmanager:alert-1" not in state.alerts
    assert (len(state.alerts), state.untracked) == (MOST_TRACKED, 1)


def test_a_request_that_is_sent_again_counts_once_while_it_fires() -> None:
    asked = signalled(an_alert("a", "a"), an_alert("b", "b"), request="r")
    state = fired(opened(a_request(RULES), WHEN), RULES, asked, WHEN)

    assert fired(state, RULES, asked, later(1)) is state


def test_of_a_request_that_is_sent_again_counts_what_has_cleared_since() -> None:
    asked = signalled(an_alert("a", "a"), an_alert("b", "b"), request="r")
    state = fired(opened(a_request(RULES), WHEN), RULES, asked, WHEN)
    state = cleared(state, RULES, signalled(an_alert("a", "a")), later(1))
    state = fired(state, RULES, asked, later(2))

    assert (state.count, state.alerts["alertmanager:a"].count, state.alerts["alertmanager:b"].count) == (3, 2, 1)


def test_the_same_request_reopens_what_was_resolved_since() -> None:
    asked = signalled(request="r")
    state = fired(opened(a_request(RULES), WHEN), RULES, asked, WHEN)
    over = [cleared(state, RULES, signalled(), later(1)), resolved_by(state, RULES, ADA, later(1))]
    for each in over:
        assert each.phase is Phase.RESOLVED
        again = fired(each, RULES, asked, later(2))
        assert (again.phase, again.count) == (Phase.TRIGGERED, 2)
        assert again.requests == (*(name for name in each.requests if name != "r/fired"), "r/fired")


def test_clears_of_what_did_not_fire_are_one_entry_however_many_come_at_once() -> None:
    before = state = fired(opened(a_request(RULES), WHEN), RULES, signalled(), WHEN)
    for number in range(1_000):
        state = cleared(state, RULES, signalled(an_alert(f"alert {number}", f"a-{number}")), later(1))
    state = strange_noted(state, later(1))

    (entry,) = state.timeline[len(before.timeline) :]
    assert entry.text == (
        "that alert 0; alert 1; alert 2; alert 3; alert 4; and 995 more cleared changes nothing: it did not fire here"
    )
    assert strange_noted(state, later(2)) is state
