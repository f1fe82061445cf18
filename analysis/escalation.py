"""Which level of a policy is due when: a schedule of instants, so that time in which nothing ran loses none of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.incident import Escalation, IncidentRules
from models.severity import Severity


@dataclass(frozen=True)
class Due:
    """A level, counted from 0, that was due at an instant; the `cycle`-th time round, counted from 0."""

    level: int
    cycle: int
    at: datetime


def begun(rules: IncidentRules, at: datetime) -> Escalation | None:
    """The first level is due at once. None for a policy without levels: it pages nobody."""
    return Escalation(since=at, due_at=at) if rules.levels else None


def wait_after(rules: IncidentRules, level: int, severity: Severity) -> timedelta:
    """How long a level has to acknowledge before the next is due."""
    wait = rules.levels[level].wait
    return rules.response.of(severity) if wait is None else wait


def after(rules: IncidentRules, due: Due, severity: Severity) -> Escalation | None:
    """What is due after a level; None once the policy was gone through as often as it says."""
    level, cycle = due.level + 1, due.cycle
    if level == len(rules.levels):
        level, cycle = 0, cycle + 1
    if cycle > rules.repeat:
        return None
    return Escalation(cycle=cycle, level=level, since=due.at, due_at=due.at + wait_after(rules, due.level, severity))


def hastened(escalation: Escalation, rules: IncidentRules, severity: Severity) -> Escalation:
    """The same for a graver incident: what is due next may be due sooner, never later."""
    if escalation.due_at == escalation.since:
        return escalation
    before = (escalation.level or len(rules.levels)) - 1
    due_at = escalation.since + wait_after(rules, before, severity)
    return escalation.model_copy(update={"due_at": min(due_at, escalation.due_at)})


def next_by_hand(rules: IncidentRules, escalation: Escalation | None, reached: int, now: datetime) -> Due:
    """The level that a person's order to escalate pages now: the next one, or the first after the last."""
    if escalation:
        return Due(level=escalation.level, cycle=escalation.cycle, at=now)
    return Due(level=reached % len(rules.levels), cycle=0, at=now)
