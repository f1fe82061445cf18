"""An incident that has grown as large as it may still fits what Temporal carries: 2 MiB a payload."""

from analysis.incident_alerts import fired, opened
from analysis.incident_changes import carried
from analysis.incident_held import held
from analysis.incident_orders import annotated, assigned, resolved_by, with_task
from analysis.incident_parts import with_part
from analysis.incident_time import passed
from models.alert import LONGEST_TITLE
from models.held import LARGEST_HELD, Hold
from models.incident import (
    MOST_PARTS,
    MOST_RESPONDERS,
    MOST_TASKS,
    MOST_TRACKED,
    REQUESTS_KEPT,
    TIMELINE_KEPT,
    AddTask,
    Assign,
    EscalationLevel,
    IncidentRules,
    Note,
    Order,
    Part,
)
from models.notification import NotifyTarget, WebhookTarget
from models.severity import Severity
from tests.analysis.incident_factories import a_held, a_request, an_alert, holding, later, signalled

MOST = 2 * 1024 * 1024
NAME = "n" * 57


def test_the_largest_incident_fits_a_payload() -> None:
    targets = tuple(
        NotifyTarget(
            name=f"{NAME}-{number}", spec=WebhookTarget(kind="webhook", url=f"https://pager.example/{'u' * 200}")
        )
        for number in range(10)
    )
    rules = IncidentRules(levels=(EscalationLevel(notify=targets, wait=None),) * 20, repeat=9)
    request = a_request(rules, title="t" * LONGEST_TITLE, description="d" * 1_000)
    state = opened(request, later(0))
    state = passed(state, rules, later(60 * 24 * 365))
    for number in range(MOST_TRACKED):
        key = f"{number}-".ljust(128, "k")
        alert = an_alert("a" * LONGEST_TITLE, key, source="s" * 128)
        state = fired(state, rules, signalled(alert, request=f"{number}".ljust(200, "r")), later(1))
        state = state.model_copy(update={"timeline": state.timeline[-TIMELINE_KEPT:]})
    for number in range(MOST_RESPONDERS):
        state = assigned(state, rules, Assign(by="b" * 200, person=f"{number}".ljust(200, "p")), later(2))
    for _ in range(MOST_TASKS):
        state = with_task(state, rules, AddTask(by="b" * 200, text="x" * 1_000), later(2))
    for number in range(MOST_PARTS):
        part = Part(workflow_id=f"{number}".ljust(250, "w"), title="t" * 300, severity=Severity.SEV1, open=True)
        state = with_part(state, rules, part, later(2))
    for _ in range(TIMELINE_KEPT):
        state = annotated(state, rules, Note(by="b" * 200, text="\U0001f6a2" * 2_000), later(3))
    state = resolved_by(state, rules, Order(by="b" * 200), later(3))
    labels = {f"label-{number}": "v" * 1_000 for number in range(60)}
    hold = Hold(why="w" * 500)
    for number in range(10):
        alert = an_alert("a" * LONGEST_TITLE, f"held-{number}", labels=labels)
        signal = holding(a_held(alert, hold, Severity.SEV1))
        state = held(state, rules, signal, later(3))
    state = state.model_copy(update={"timeline": state.timeline[-TIMELINE_KEPT:]})

    assert sum(len(each.model_dump_json()) for each in state.held.values()) > LARGEST_HELD - 70_000
    assert (len(state.alerts), len(state.parts), len(state.requests)) == (MOST_TRACKED, MOST_PARTS, REQUESTS_KEPT)
    whole = request.model_copy(update={"state": carried(state)}).model_dump_json()
    assert len(whole.encode()) < MOST
