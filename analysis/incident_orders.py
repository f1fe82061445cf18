"""What people's orders do to an incident. One that makes no sense now is written down with why, and changes nothing."""

from datetime import datetime, timedelta

from analysis.escalation import next_by_hand
from analysis.incident_changes import (
    noted,
    paged,
    resolved,
    said,
    senseless,
    triggered,
    updated,
    without_pages,
)
from analysis.incident_list import pending_for
from models.incident import (
    MOST_RESPONDERS,
    MOST_TASKS,
    AddTask,
    Assign,
    FinishTask,
    IncidentRules,
    IncidentState,
    Message,
    Note,
    Order,
    Phase,
    Role,
    Snooze,
    Task,
)
from models.quantities import format_duration
from models.temporal_names import IncidentSignal

LONGEST_SNOOZE = timedelta(days=30)


def acknowledged(state: IncidentState, rules: IncidentRules, order: Order, now: datetime) -> IncidentState:
    """Somebody takes care of it: no page goes out any more."""
    if state.phase is Phase.ACKNOWLEDGED:
        return senseless(state, now, "acknowledge", f"{state.acknowledged_by} has acknowledged it already", order.by)
    why = _not_open(state)
    if why:
        return senseless(state, now, "acknowledge", why, order.by)
    changes = {
        "phase": Phase.ACKNOWLEDGED,
        "acknowledged_at": now,
        "acknowledged_by": order.by,
        "escalation": None,
        "snoozed_until": None,
    }
    text = f"acknowledged{_with(order)}"
    state = without_pages(state.model_copy(update=changes))
    return noted(updated(state, rules, now, f"{text} by {order.by}"), now, text, order.by)


def resolved_by(state: IncidentState, rules: IncidentRules, order: Order, now: datetime) -> IncidentState:
    """A person says that it is over. What was merged into it is over, too."""
    text = f"resolved{_with(order)} by {order.by}"
    if not state.phase.open and state.phase is not Phase.PENDING:
        if not state.held:
            return senseless(state, now, "resolve", f"it is {state.phase} already", order.by)
        return noted(state.model_copy(update={"held": {}}), now, f"{text}: what it held is over", order.by)
    state = resolved(state.model_copy(update={"held": {}}), rules, now, text, order.by)
    told = [
        Message(workflow_id=part, signal=IncidentSignal.RESOLVE, order=order)
        for part, how in state.parts.items()
        if how.open
    ]
    return said(state.model_copy(update={"untracked": 0}), told)


def escalated(state: IncidentState, rules: IncidentRules, order: Order, now: datetime) -> IncidentState:
    """The next level is paged now, also of an incident that was acknowledged: that somebody asks for more people."""
    why = _not_open(state) or ("" if rules.levels else "its policy has no levels")
    if why:
        return senseless(state, now, "escalate", why, order.by)
    due = next_by_hand(rules, state.escalation, state.reached, now)
    changes = {
        "phase": Phase.TRIGGERED,
        "triggered_at": now,
        "acknowledged_at": None,
        "acknowledged_by": "",
        "snoozed_until": None,
    }
    state = noted(state.model_copy(update=changes), now, f"escalated{_with(order)}", order.by)
    return paged(state, rules, due, now)


def snoozed(state: IncidentState, _rules: IncidentRules, order: Snooze, now: datetime) -> IncidentState:
    """Nobody is paged until then, when it waits for somebody again."""
    why = _not_open(state)
    if not why and not timedelta(0) < order.lasting <= LONGEST_SNOOZE:
        why = f"a snooze lasts longer than 0s and up to {format_duration(LONGEST_SNOOZE)}"
    if why:
        return senseless(state, now, "snooze", why, order.by)
    until = now + order.lasting
    state = without_pages(state.model_copy(update={"snoozed_until": until, "escalation": None}))
    return noted(state, now, f"snoozed until {until:%Y-%m-%d %H:%M:%S} UTC{_with(order)}", order.by)


def unsnoozed(state: IncidentState, rules: IncidentRules, order: Order, now: datetime) -> IncidentState:
    """One that was acknowledged stays so, for as long as if that had been now."""
    if state.snoozed_until is None:
        return senseless(state, now, "unsnooze", "it is not snoozed", order.by)
    text = f"no longer snoozed{_with(order)}"
    if state.phase is Phase.ACKNOWLEDGED:
        kept = state.model_copy(update={"snoozed_until": None, "acknowledged_at": now})
        return noted(kept, now, text, order.by)
    return triggered(state, rules, now, text, by=order.by)


def annotated(state: IncidentState, _rules: IncidentRules, note: Note, now: datetime) -> IncidentState:
    text = note.text or note.note
    if not text:
        return senseless(state, now, "note", 'it holds no text; send it as {"text": "..."}', note.by)
    return noted(state, now, text, note.by)


def assigned(state: IncidentState, _rules: IncidentRules, order: Assign, now: datetime) -> IncidentState:
    if order.role is Role.COMMANDER:
        before = f", before it was {state.commander}" if state.commander not in {"", order.person} else ""
        state = state.model_copy(update={"commander": order.person})
        return noted(state, now, f"{order.person} is the commander{before}{_with(order)}", order.by)
    if order.person in state.responders:
        return senseless(state, now, "assign", f"{order.person} is a responder already", order.by)
    if len(state.responders) >= MOST_RESPONDERS:
        return senseless(state, now, "assign", f"{MOST_RESPONDERS} responders are the most", order.by)
    state = state.model_copy(update={"responders": (*state.responders, order.person)})
    return noted(state, now, f"{order.person} is a responder{_with(order)}", order.by)


def with_task(state: IncidentState, _rules: IncidentRules, order: AddTask, now: datetime) -> IncidentState:
    if len(state.tasks) >= MOST_TASKS:
        return senseless(state, now, "add_task", f"{MOST_TASKS} tasks are the most", order.by)
    task = Task(number=len(state.tasks) + 1, text=order.text, by=order.by)
    state = state.model_copy(update={"tasks": (*state.tasks, task)})
    return noted(state, now, f"task {task.number}: {task.text}", order.by)


def with_task_done(state: IncidentState, _rules: IncidentRules, order: FinishTask, now: datetime) -> IncidentState:
    task = next((each for each in state.tasks if each.number == order.number), None)
    if task is None or task.done_at:
        why = f"there is no task {order.number}" if task is None else f"task {task.number} is done already"
        return senseless(state, now, "finish_task", why, order.by)
    done = task.model_copy(update={"done_by": order.by, "done_at": now})
    tasks = tuple(done if each.number == done.number else each for each in state.tasks)
    return noted(state.model_copy(update={"tasks": tasks}), now, f"task {task.number} is done{_with(order)}", order.by)


def _not_open(state: IncidentState) -> str:
    """Why nobody can be paged now; empty where somebody can."""
    if state.merged_into:
        return f"it is merged into {state.merged_into}, which pages"
    if state.phase is Phase.PENDING:
        return f"it is {pending_for(state)}"
    return "" if state.phase.open else f"it is {state.phase}"


def _with(order: Order) -> str:
    return f" ({order.note})" if order.note else ""
