"""What the audit log is told of orders on incidents."""

from datetime import UTC, datetime

import pytest

from analysis import incident_alerts, incident_audit, incident_orders
from models.ids import IncidentRef
from models.incident import IncidentRequest, IncidentRules, IncidentState, Order, Phase
from models.record import IncidentPicture, incident_entries
from models.severity import Severity
from models.temporal_names import IncidentSignal

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REQUEST = IncidentRequest(
    ref=IncidentRef(environment="local", service="shop", key="till"),
    title="the till is stuck",
    severity=Severity.SEV1,
    opened_by="ada",
)


def a_state() -> IncidentState:
    return incident_alerts.opened(REQUEST, NOW)


def test_each_order_has_a_name_of_its_own_and_the_same_one_again_has_the_same() -> None:
    order, before = Order(by="ada"), a_state()
    after = incident_orders.acknowledged(before, IncidentRules(), order, NOW)
    again = incident_orders.acknowledged(after, IncidentRules(), order, NOW)
    first = incident_audit.heard(before, after, IncidentSignal.ACKNOWLEDGE, order, "run", NOW)
    second = incident_audit.heard(after, again, IncidentSignal.ACKNOWLEDGE, order, "run", NOW)
    assert first
    assert second
    assert (first.outcome, second.outcome) == ("accepted", "refused")
    assert first.key != second.key
    assert incident_audit.heard(before, after, IncidentSignal.ACKNOWLEDGE, order, "run", NOW) == first
    assert incident_audit.heard(after, after, IncidentSignal.ACKNOWLEDGE, order, "run", NOW) is None


@pytest.mark.parametrize(
    ("said", "who"), [(None, "someone"), ("x", "someone"), ({"by": "eve"}, "eve"), ({"by": ["eve"] * 100}, None)]
)
def test_who_gave_what_was_not_understood_is_told_as_far_as_it_says(said: object, who: str | None) -> None:
    order = incident_audit.whose(said)
    assert len(order.by) <= 200
    assert who is None or order.by == who


def test_what_is_written_already_is_not_handed_over_again() -> None:
    state = a_state()
    opened = incident_audit.opened(REQUEST, "run", NOW)
    assert opened
    assert opened.who == "ada"
    first = IncidentPicture(
        workflow_id="w", run_id="run", ref=state.ref, title="t", severity=Severity.SEV1, phase=Phase.TRIGGERED,
        opened_at=NOW, count=0, audit=(opened,),
    )  # fmt: skip
    later = opened.model_copy(update={"key": "run/2"})
    second = first.model_copy(update={"audit": (opened, later)})
    assert incident_entries(first, None).audit == (opened,)
    assert incident_entries(second, first).audit == (later,)
    assert incident_entries(second, second).audit == ()
    written = incident_entries(second, first).model_dump_json()
    assert written.count("run/2") == 1, "it is handed over beside the incident, and not within it, too"
