"""Incidents that are one: neither forgets whom to page, and nobody is paged for what somebody has."""

from datetime import timedelta

import pytest

from analysis.incident_alerts import cleared, fired, opened
from analysis.incident_orders import acknowledged, resolved_by
from analysis.incident_parts import merged, not_heard, split, with_part
from analysis.incident_time import next_due, passed
from models.ids import IncidentRef, incident_id
from models.incident import (
    IncidentRules,
    IncidentState,
    Merge,
    Message,
    Order,
    Part,
    Phase,
)
from models.incident_spec import FlapSpec, OpenAfter
from models.notification import NotificationKind
from models.severity import Severity
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import a_level, a_request, an_alert, later, signalled
from tests.factories import WHEN

ADA = Order(by="ada")
MINUTE = timedelta(minutes=1)
OTHER = "incident/local/shop/other"
RULES = IncidentRules(levels=(a_level("first", wait=None), a_level("second", wait=None)), repeat=1)
AFTER_TWO = RULES.model_copy(update={"open_after": OpenAfter(alerts=2, within=5 * MINUTE)})


def a_part(*, fires: bool = True, severity: Severity = Severity.SEV2, merged: bool = True) -> Part:
    return Part(workflow_id=OTHER, title="the other", severity=severity, open=fires, merged=merged)


def told(state: IncidentState) -> list[tuple[str, bool, Severity]]:
    return [(each.workflow_id, each.part.open, each.part.severity) for each in state.messages if each.part]


def texts(state: IncidentState) -> list[str]:
    return [entry.text for entry in state.timeline]


def test_a_pending_part_that_opens_tells_the_whole() -> None:
    state = fired(opened(a_request(AFTER_TWO), WHEN), AFTER_TWO, signalled(), later(0))
    state = merged(state, AFTER_TWO, Merge(into=OTHER), later(1)).model_copy(update={"messages": ()})
    state = fired(state, AFTER_TWO, signalled(), later(2))

    assert state.phase is Phase.TRIGGERED
    assert told(state) == [(OTHER, True, Severity.SEV2)]


def test_a_part_that_is_raised_tells_the_whole_once() -> None:
    state = merged(opened(a_request(RULES, Severity.SEV4), WHEN), RULES, Merge(into=OTHER), later(1))
    state = state.model_copy(update={"messages": ()})
    state = fired(state, RULES, signalled(severity=Severity.SEV1), later(2))
    assert told(state) == [(OTHER, True, Severity.SEV1)]

    again = fired(state, RULES, signalled(severity=Severity.SEV1), later(3))
    assert told(again) == told(state)


def test_a_part_that_is_graver_hastens_the_wholes_next_level() -> None:
    whole = passed(opened(a_request(RULES, Severity.SEV3), WHEN), RULES, WHEN)
    whole = with_part(whole, RULES, a_part(severity=Severity.SEV3), later(1))
    whole = with_part(whole, RULES, a_part(severity=Severity.SEV1), later(2))

    assert "raised from SEV3 to SEV1" in texts(whole)
    assert whole.escalation
    assert whole.escalation.due_at == later(10)


def test_what_somebody_has_stays_theirs_when_a_merge_does_not_work() -> None:
    state = acknowledged(opened(a_request(RULES), WHEN), RULES, ADA, later(1))
    state = merged(state, RULES, Merge(into=OTHER), later(2))
    message = Message(workflow_id=OTHER, part=a_part(), signal=IncidentSignal.PART)
    for lonely in (not_heard(state, RULES, message, later(3)), split(state, RULES, ADA, later(3))):
        assert (lonely.phase, lonely.acknowledged_by, lonely.merged_into) == (Phase.ACKNOWLEDGED, "ada", "")
        assert next_due(lonely, RULES) == later(63)
        assert not [page for page in lonely.outbox if page.kind is NotificationKind.PAGE]


def test_what_waited_for_somebody_pages_when_a_merge_does_not_work() -> None:
    state = merged(opened(a_request(RULES), WHEN), RULES, Merge(into=OTHER), later(2))
    message = Message(workflow_id=OTHER, part=a_part(), signal=IncidentSignal.PART)
    for lonely in (not_heard(state, RULES, message, later(3)), split(state, RULES, ADA, later(3))):
        assert (lonely.phase, next_due(lonely, RULES)) == (Phase.TRIGGERED, later(3))


@pytest.mark.parametrize("again", [a_part(fires=False), a_part(merged=False)])
def test_what_a_person_opened_is_not_resolved_by_what_becomes_of_its_parts(again: Part) -> None:
    whole = with_part(opened(a_request(RULES, opened_by="ada"), WHEN), RULES, a_part(), later(1))
    whole = with_part(whole, RULES, again, later(2))

    assert whole.phase is Phase.TRIGGERED
    assert texts(whole)[-1] == "everything has cleared; it waits for a person to resolve it"


def test_what_a_person_opened_is_not_resolved_by_alerts_but_what_alerts_reopened_is() -> None:
    state = fired(opened(a_request(RULES, opened_by="ada"), WHEN), RULES, signalled(), later(1))
    state = cleared(state, RULES, signalled(), later(2))
    assert state.phase is Phase.TRIGGERED
    state = fired(resolved_by(state, RULES, ADA, later(3)), RULES, signalled(), later(4))

    assert cleared(state, RULES, signalled(), later(5)).phase is Phase.RESOLVED


def test_what_alerts_opened_is_resolved_once_its_parts_have_cleared_too() -> None:
    whole = with_part(fired(opened(a_request(RULES), WHEN), RULES, signalled(), WHEN), RULES, a_part(), later(1))
    whole = cleared(whole, RULES, signalled(), later(2))
    assert whole.phase is Phase.TRIGGERED

    assert with_part(whole, RULES, a_part(fires=False), later(3)).phase is Phase.RESOLVED


@pytest.mark.parametrize("by", ["", "ada"])
def test_flapping_parts_keep_a_whole_open_for_as_long_as_it_says(by: str) -> None:
    rules = RULES.model_copy(update={"flapping": FlapSpec(changes=4, within=10 * MINUTE)})
    whole = opened(a_request(rules, opened_by=by), WHEN)
    if not by:
        whole = fired(whole, rules, signalled(), WHEN)
    for minute in range(1, 9):
        whole = with_part(whole, rules, a_part(fires=minute % 2 == 1), later(minute))
        if minute == 1 and not by:
            whole = cleared(whole, rules, signalled(), later(1))
    says_until = [text for text in texts(whole) if "stays open while that goes on until" in text]

    assert bool(says_until) is not bool(by)
    assert passed(whole, rules, later(8.5)).phase is Phase.TRIGGERED
    assert passed(whole, rules, later(20)).phase is (Phase.TRIGGERED if by else Phase.RESOLVED)


def test_a_part_that_never_fired_is_not_said_to_be_over() -> None:
    whole = with_part(opened(a_request(RULES), WHEN), RULES, a_part(fires=False), later(1))
    whole = with_part(whole, RULES, a_part(fires=False, severity=Severity.SEV1), later(2))

    assert not [text for text in texts(whole) if "is over" in text]
    assert whole.severity is Severity.SEV1


def test_an_incident_of_a_long_name_refuses_a_part() -> None:
    ref = IncidentRef(environment="e" * 60, service="s" * 60, key="k" * 128)
    state = resolved_by(opened(a_request(RULES, ref=ref), WHEN), RULES, ADA, later(1))
    refusing = with_part(state, RULES, a_part(), later(2))

    order = refusing.messages[-1].order
    assert order
    assert incident_id(ref).startswith(order.by)


def test_alerts_are_tracked_with_their_service() -> None:
    state = fired(opened(a_request(RULES), WHEN), RULES, signalled(an_alert(service="blog")), WHEN)

    assert [alert.service for alert in state.alerts.values()] == ["blog"]
