"""The steps that an incident's transitions are made of; each takes a state and returns the next."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from analysis.escalation import Due, after, begun, hastened
from models.ids import incident_id
from models.incident import IncidentRules, IncidentState, Message, Page, Part, Phase, TimelineEntry
from models.notification import NotificationKind
from models.quantities import format_duration
from models.severity import Severity
from models.temporal_names import IncidentSignal

LATE = timedelta(seconds=30)
"""From here on it is said that something came late."""

MOST_CARRIED = 1_500_000
"""Bytes of a state; Temporal carries 2 MiB, rules included."""

_ENTRIES_OF_A_LARGE_ONE = 10

CHANGES_NOTHING = " changes nothing: "
"""Between what was said and why it makes no sense now."""


def noted(state: IncidentState, now: datetime, text: str, by: str = "") -> IncidentState:
    entry = TimelineEntry(number=state.entries + 1, at=now, text=text, by=by)
    return state.model_copy(update={"timeline": (*state.timeline, entry), "entries": entry.number})


def senseless(state: IncidentState, now: datetime, what: str, why: str, by: str = "") -> IncidentState:
    """Something was said that makes no sense now: it is written down, and changes nothing."""
    return noted(state, now, f"{what}{CHANGES_NOTHING}{why}", by)


def triggered(
    state: IncidentState, rules: IncidentRules, now: datetime, text: str, *, by: str = "", at: datetime | None = None
) -> IncidentState:
    """It waits for somebody from `at` on, and its policy begins anew; merged, it leaves that to the other."""
    since = at or now
    quiet = bool(state.merged_into)
    changes = {
        "phase": Phase.TRIGGERED,
        "triggered_at": since,
        "acknowledged_at": None,
        "acknowledged_by": "",
        "resolved_at": None,
        "resolved_by": "",
        "closed_at": None,
        "snoozed_until": None,
        "first_alerts": (),
        "escalation": None if quiet else begun(rules, since),
    }
    return noted(state.model_copy(update=changes), now, text, by)


def raised(state: IncidentState, rules: IncidentRules, severity: Severity | None, now: datetime) -> IncidentState:
    """Graver than before, it has less time until its next level; None and what is no graver change nothing."""
    if severity is None or severity >= state.severity:
        return state
    escalation = state.escalation and hastened(state.escalation, rules, severity)
    graver = state.model_copy(update={"severity": severity, "escalation": escalation})
    return noted(graver, now, f"raised from {state.severity} to {severity}")


def on_its_own(state: IncidentState, rules: IncidentRules, now: datetime, text: str, by: str = "") -> IncidentState:
    """No other incident pages for it any more. What somebody has stays theirs, for as long as if that had been now;
    what waits for somebody begins its policy anew.
    """
    state = state.model_copy(update={"merged_into": ""})
    if state.phase is Phase.ACKNOWLEDGED:
        return noted(state.model_copy(update={"acknowledged_at": now}), now, text, by)
    return triggered(state, rules, now, text, by=by) if state.phase.open else noted(state, now, text, by)


def resolved(state: IncidentState, rules: IncidentRules, now: datetime, text: str, by: str = "") -> IncidentState:
    """Nobody is paged any more; who was paged is told, and so are the incidents that were merged with it."""
    changes = {
        "phase": Phase.RESOLVED,
        "resolved_at": now,
        "resolved_by": by,
        "escalation": None,
        "snoozed_until": None,
        "first_alerts": (),
        "by_hand": False,
    }
    state = updated(without_pages(state.model_copy(update=changes)), rules, now, text)
    return told_whole(noted(state, now, text, by))


def resolves_by_itself(state: IncidentState, rules: IncidentRules) -> bool:
    """Once nothing fires: only what alerts of its own opened. Of anything else a person says when it is over, whatever
    becomes of the incidents that were merged into it.
    """
    return rules.auto_resolve and bool(state.alerts) and not state.by_hand


def paged(state: IncidentState, rules: IncidentRules, due: Due, now: datetime) -> IncidentState:
    """A level is sent for, and the next one is due later."""
    level = rules.levels[due.level]
    names = ", ".join(target.name for target in level.notify)
    late = f", {format_duration(_whole(now - due.at))} late" if now - due.at > LATE else ""
    again = f", for the {due.cycle + 1}. time" if due.cycle else ""
    text = f"level {due.level + 1} is paged{again}: {names}{late}"
    targets = tuple(target.name for target in level.notify)
    state = _posted(state, NotificationKind.PAGE, due.level + 1, due.at, state.title, targets)
    changes = {
        "escalation": after(rules, due, state.severity),
        "reached": max(state.reached, due.level + 1),
    }
    return noted(state.model_copy(update=changes), now, text)


def updated(state: IncidentState, rules: IncidentRules, now: datetime, text: str) -> IncidentState:
    """Who was paged is told how it went on."""
    names = dict.fromkeys(target.name for level in rules.levels[: state.reached] for target in level.notify)
    return _posted(state, NotificationKind.UPDATE, 0, now, text, tuple(names)) if names else state


def without_pages(state: IncidentState) -> IncidentState:
    """What was to page somebody and did not yet is dropped."""
    return state.model_copy(
        update={"outbox": tuple(page for page in state.outbox if page.kind is not NotificationKind.PAGE)}
    )


def carried(state: IncidentState) -> IncidentState:
    """What goes into the next run: without most of the timeline, which is recorded, should it be too large for Temporal
    to carry otherwise.
    """
    if len(state.model_dump_json().encode()) <= MOST_CARRIED:
        return state
    return state.model_copy(
        update={
            "timeline": state.timeline[-_ENTRIES_OF_A_LARGE_ONE:],
            "requests": state.requests[-_ENTRIES_OF_A_LARGE_ONE:],
        }
    )


def delivered(state: IncidentState, step: int, target: str, now: datetime, problem: str = "") -> IncidentState:
    """One target has what was sent, or never will, which is then written down.

    A level of which nobody could be told is not waited for: the next is due at once. What would be its repetition is
    not, as that is for what may be mended meanwhile.
    """
    page = next((each for each in state.outbox if each.step == step), None)
    if problem:
        state = noted(state, now, f"{target} could not be told: {problem}")
    if page is None:
        return state
    failed = (*page.failed, target) if problem else page.failed
    page = page.model_copy(update={"sent": (*page.sent, target), "failed": failed})
    done = all(name in page.sent for name in page.targets)
    others = (page if each.step == step else each for each in state.outbox)
    outbox = tuple(each for each in others if not (done and each.step == step))
    state = state.model_copy(update={"outbox": outbox})
    nobody = done and page.kind is NotificationKind.PAGE and set(page.targets) <= set(page.failed)
    escalation = state.escalation
    if not nobody or escalation is None or escalation.level != page.level:
        return state
    sooner = escalation.model_copy(update={"due_at": min(escalation.due_at, now)})
    text = f"nobody of level {page.level} could be told: level {escalation.level + 1} is due now"
    return noted(state.model_copy(update={"escalation": sooner}), now, text)


def told_whole(state: IncidentState, *, merged: bool = True) -> IncidentState:
    """The incident that this one was merged into learns how it stands."""
    if not state.merged_into:
        return state
    part = Part(
        workflow_id=incident_id(state.ref),
        title=state.title,
        severity=state.severity,
        open=state.phase.open,
        merged=merged,
    )
    return said(state, [Message(workflow_id=state.merged_into, signal=IncidentSignal.PART, part=part)])


def said(state: IncidentState, messages: Iterable[Message]) -> IncidentState:
    return state.model_copy(update={"messages": (*state.messages, *messages)})


def _posted(
    state: IncidentState,
    kind: NotificationKind,
    level: int,
    due_at: datetime,
    text: str,
    targets: tuple[str, ...],
) -> IncidentState:
    page = Page(step=state.steps + 1, level=level, kind=kind, due_at=due_at, text=text, targets=targets)
    return state.model_copy(update={"steps": page.step, "outbox": (*state.outbox, page)})


def _whole(time: timedelta) -> timedelta:
    return timedelta(seconds=int(time.total_seconds()))
