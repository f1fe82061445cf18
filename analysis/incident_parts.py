"""Incidents that are one: the other pages and is resolved, this one goes along."""

from datetime import datetime

from analysis.incident_alerts import turned_quiet
from analysis.incident_changes import (
    noted,
    on_its_own,
    raised,
    said,
    senseless,
    told_whole,
    triggered,
    without_pages,
)
from models.ids import incident_id, parse_incident_id
from models.incident import LONGEST_WHO, MOST_PARTS, IncidentRules, IncidentState, Merge, Message, Order, Part, Phase
from models.temporal_names import IncidentSignal


def merged(state: IncidentState, _rules: IncidentRules, order: Merge, now: datetime) -> IncidentState:
    """From now on the other incident pages for this one, too."""
    why = _no_merge(state, order.into)
    if why:
        return senseless(state, now, "merge", why, order.by)
    changes = {"merged_into": order.into, "escalation": None, "snoozed_until": None}
    state = without_pages(state.model_copy(update=changes))
    note = f" ({order.note})" if order.note else ""
    return told_whole(noted(state, now, f"merged into {order.into}{note}", order.by))


def split(state: IncidentState, rules: IncidentRules, order: Order, now: datetime) -> IncidentState:
    """It goes its own way. What somebody has stays theirs; where it waits for somebody, its policy begins anew."""
    if not state.merged_into:
        return senseless(state, now, "split", "it is not merged into another", order.by)
    note = f" ({order.note})" if order.note else ""
    text = f"no longer merged into {state.merged_into}{note}"
    return on_its_own(told_whole(state, merged=False), rules, now, text, order.by)


def with_part(state: IncidentState, rules: IncidentRules, part: Part, now: datetime) -> IncidentState:
    """Another incident was merged into this one, says how it stands now, or goes its own way again."""
    known = part.workflow_id in state.parts
    if not part.merged:
        if not known:
            return state
        parts = {name: each for name, each in state.parts.items() if name != part.workflow_id}
        left = noted(state.model_copy(update={"parts": parts}), now, f"{part.title} goes its own way again")
        return turned_quiet(left, rules, now) if state.firing else left
    why = "" if known else _no_part(state)
    if why:
        order = Order(by=incident_id(state.ref)[:LONGEST_WHO], note=f"refused: {why}")
        state = noted(state, now, f"{part.workflow_id} was to be merged into this one, and is not: {why}")
        return said(state, [Message(workflow_id=part.workflow_id, signal=IncidentSignal.SPLIT, order=order)])
    was_firing = state.firing
    was_open = known and state.parts[part.workflow_id].open
    joined = state.model_copy(update={"parts": {**state.parts, part.workflow_id: part}})
    if not known:
        joined = noted(joined, now, f"{part.workflow_id} is merged into this one: {part.title}")
    joined = raised(joined, rules, part.severity, now)
    if part.open and joined.phase in {Phase.RESOLVED, Phase.CLOSED}:
        return triggered(joined, rules, now, f"reopened: {part.title} fires again")
    if not part.open and was_open:
        joined = noted(joined, now, f"{part.title} is over")
    return turned_quiet(joined, rules, now) if was_firing and not joined.firing else joined


def not_heard(state: IncidentState, rules: IncidentRules, message: Message, now: datetime) -> IncidentState:
    """A message found nobody: whoever was to page for this incident does not exist, so it pages itself."""
    if message.part and message.part.merged and state.merged_into == message.workflow_id:
        text = f"no longer merged into {message.workflow_id}: no such incident is open"
        return on_its_own(state, rules, now, text)
    return noted(state, now, f"{message.workflow_id} could not be told: no such incident is open")


def _no_merge(state: IncidentState, into: str) -> str:
    try:
        other = parse_incident_id(into)
    except ValueError as error:
        return str(error).splitlines()[0]
    if other == state.ref:
        return "an incident is not merged into itself"
    if state.merged_into:
        return f"it is merged into {state.merged_into}; split it first"
    if state.parts:
        return "others are merged into it; split them first, or merge the other way round"
    return "" if state.phase.open or state.phase is Phase.PENDING else f"it is {state.phase}"


def _no_part(state: IncidentState) -> str:
    if state.merged_into:
        return f"this one is itself merged into {state.merged_into}"
    if len(state.parts) >= MOST_PARTS:
        return f"{MOST_PARTS} are the most"
    return "" if state.phase.open else f"this one is {state.phase}"
