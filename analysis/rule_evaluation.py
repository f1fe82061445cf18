"""From what was found to alerts that are pending, firing and cleared.

As Prometheus does it (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/), with one difference:
what could not be read is no verdict. An alert stays what it was, and the time in which nothing was known counts for
nothing: neither towards `for` nor towards `keep_firing_for`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analysis.rule_blindness import blindness, key_of
from analysis.rule_bounds import BOUNDS, Part, Room
from models.alert import LONGEST_KEY, LONGEST_LABEL, MOST_LABELS, AlertStatus
from models.alert_expression import Figure
from models.alert_rules import (
    ALERT_NAME,
    ActiveAlert,
    AlertChange,
    AlertRule,
    AlertState,
    RuleSet,
    RuleStanding,
    Trouble,
)
from models.alert_templates import fill

_LATE = 2.5
"""Intervals: what was known so long before was not known all the time since."""

_LONGEST_TROUBLE = 300


@dataclass(frozen=True)
class Sample:
    """One series that was found, and its value; None or NaN where there was none to be had."""

    labels: Mapping[str, str]
    value: float | None


@dataclass(frozen=True)
class Unread:
    """Why nothing was found out."""

    why: str


Found = Sequence[Sample] | Unread


def evaluated(
    rules: RuleSet, standing: RuleStanding, found: Mapping[str, Found], now: datetime
) -> tuple[RuleStanding, tuple[AlertChange, ...]]:
    """`found` is what was read for the rules that were due, by their ids.

    Of very many changes a part is returned: rules of which some are left stay as they were, and due.
    """
    changes: list[AlertChange] = []
    part = Part()
    for rule in rules.rules:
        if rule.id in found:
            standing, changed = _with_rule(rule, standing, found[rule.id], part, now)
            changes += changed
    standing, changed = blindness(rules, standing, now)
    return _said_again(rules, standing, [*changes, *changed], part, now)


def next_due(rules: RuleSet, standing: RuleStanding, now: datetime) -> datetime:
    """When the next rule is to be evaluated; now for one that never was."""
    return min((due_at(rule, standing, now) for rule in rules.rules), default=now + timedelta(hours=1))


def due_at(rule: AlertRule, standing: RuleStanding, now: datetime) -> datetime:
    last = standing.evaluated_at.get(rule.id)
    return now if last is None else last + rule.interval


def alert_labels(rule: AlertRule, sample: Sample) -> dict[str, str]:
    """Those of the series without its metric's name, then the rule's, which win; empty ones are none."""
    found = {name: text for name, text in sample.labels.items() if name != "__name__"}
    said = {name: fill(text, found, sample.value) for name, text in rule.labels.items()}
    labels = {**found, **said, ALERT_NAME: rule.name}
    return {name: text for name, text in labels.items() if text}


def _with_rule(
    rule: AlertRule, standing: RuleStanding, found: Found, part: Part, now: datetime
) -> tuple[RuleStanding, list[AlertChange]]:
    mine = {key: alert for key, alert in standing.alerts.items() if alert.rule == rule.id}
    evaluated_at = {**standing.evaluated_at, rule.id: now}
    active: dict[str, Sample] = {}
    unknown: set[str] = set()
    if not isinstance(found, Unread):
        active, unknown = _sorted_out(rule, found)
        found = _too_much(rule, active) or found
    if isinstance(found, Unread):
        changes = {"troubles": _troubled(standing, rule, found.why, now), "evaluated_at": evaluated_at}
        return standing.model_copy(update=changes), []
    decided = _decided(rule, mine, active, unknown, standing, part, now)
    others = {key: alert for key, alert in standing.alerts.items() if alert.rule != rule.id}
    why = f"{decided.crowded_out} of the {len(active)} alerts that it finds are left out; {BOUNDS}"
    update = {
        "alerts": {**others, **decided.alerts},
        "troubles": _troubled(standing, rule, why if decided.crowded_out else "", now),
        "values": {**standing.values, rule.id: _for_people(found)},
        "evaluated_at": standing.evaluated_at if decided.unfinished else evaluated_at,
    }
    return standing.model_copy(update=update), decided.changes


def _sorted_out(rule: AlertRule, found: Sequence[Sample]) -> tuple[dict[str, Sample], set[str]]:
    """The series for which the comparison holds, by their alerts' keys, and the keys of those that say nothing."""
    active: dict[str, Sample] = {}
    unknown: set[str] = set()
    for sample in found:
        key = _key(rule, alert_labels(rule, sample))
        if rule.comparison is None:
            active[key] = sample
        elif sample.value is None or math.isnan(sample.value):
            unknown.add(key)
        elif rule.comparison.holds(sample.value):
            active[key] = sample
    return active, unknown


def _too_much(rule: AlertRule, active: Mapping[str, Sample]) -> Unread | None:
    """What an alert cannot hold."""
    if len(active) > rule.limit:
        return Unread(f"it finds {len(active)} alerts, and {rule.limit} are the most; let its query find fewer")
    for sample in active.values():
        labels = alert_labels(rule, sample)
        if len(labels) > MOST_LABELS:
            return Unread(f"it finds a series of {len(labels)} labels, and {MOST_LABELS} are the most")
        for name, text in labels.items():
            if len(name) > LONGEST_KEY or len(text) > LONGEST_LABEL:
                longest = f"{LONGEST_LABEL} characters are the most, and {LONGEST_KEY} for its name"
                return Unread(f"it finds a series whose label {name[:40]} is too long; {longest}")
    return None


@dataclass
class _Decided:
    """`crowded_out` found no room; `unfinished`: what would have changed beside what is said at once was left."""

    alerts: dict[str, ActiveAlert] = field(default_factory=dict)
    changes: list[AlertChange] = field(default_factory=list)
    crowded_out: int = 0
    unfinished: bool = False

    def change(
        self, key: str, alert: ActiveAlert, status: AlertStatus, before: ActiveAlert | None, part: Part, now: datetime
    ) -> None:
        if part.takes(alert):
            self.changes.append(AlertChange(alert=alert, status=status, at=now))
            if status is AlertStatus.FIRED:
                self.alerts[key] = alert
            return
        self.unfinished = True
        if before is not None:
            self.alerts[key] = before


def _decided(
    rule: AlertRule,
    mine: Mapping[str, ActiveAlert],
    active: Mapping[str, Sample],
    unknown: set[str],
    standing: RuleStanding,
    part: Part,
    now: datetime,
) -> _Decided:
    decided = _Decided()
    room: Room | None = None
    for key, sample in active.items():
        before = mine.get(key)
        alert = _holds(rule, before, sample, now)
        if before is None:
            room = room or Room(standing.alerts.values())
            if not room.takes(alert):
                decided.crowded_out += 1
                continue
        if alert.state is AlertState.FIRING and (before is None or before.state is AlertState.PENDING):
            decided.change(key, alert, AlertStatus.FIRED, before, part, now)
        else:
            decided.alerts[key] = alert
    for key, alert in mine.items():
        if key in active:
            continue
        if key in unknown:
            decided.alerts[key] = alert
        elif alert.state is AlertState.FIRING:
            kept = _holds_not(rule, alert, now)
            if kept:
                decided.alerts[key] = kept
            else:
                decided.change(key, alert, AlertStatus.CLEARED, alert, part, now)
    return decided


def _holds(rule: AlertRule, before: ActiveAlert | None, sample: Sample, now: datetime) -> ActiveAlert:
    since = now if before is None else before.since + _unseen(rule, before, now)
    fires = (before is not None and before.state is AlertState.FIRING) or now - since >= rule.lasting
    labels = alert_labels(rule, sample)
    found = {name: text for name, text in sample.labels.items() if name != "__name__"}
    return ActiveAlert(
        rule=rule.id,
        labels=labels,
        annotations={name: fill(text, found, sample.value) for name, text in rule.annotations.items()},
        severity=rule.severity,
        value=sample.value,
        figure=rule.comparison.figure if rule.comparison else Figure.QUERY,
        state=AlertState.FIRING if fires else AlertState.PENDING,
        since=since,
        known_at=now,
        fired_at=(before and before.fired_at) or (now if fires else None),
        again_at=before.again_at if before else None,
    )


def _holds_not(rule: AlertRule, alert: ActiveAlert, now: datetime) -> ActiveAlert | None:
    """As it is kept firing; None once it has cleared."""
    since = now if alert.holds_not_since is None else alert.holds_not_since + _unseen(rule, alert, now)
    if now - since >= rule.keep_firing_for:
        return None
    return alert.model_copy(update={"holds_not_since": since, "known_at": now})


def _unseen(rule: AlertRule, alert: ActiveAlert, now: datetime) -> timedelta:
    """How much of the time since it was last known is to count for nothing."""
    gap = now - alert.known_at
    return gap - rule.interval if gap > _LATE * rule.interval else timedelta(0)


def _said_again(
    rules: RuleSet, standing: RuleStanding, changes: list[AlertChange], part: Part, now: datetime
) -> tuple[RuleStanding, tuple[AlertChange, ...]]:
    """What fires is said again every so often: somebody may have closed its incident, or a silence have ended."""
    alerts = dict(standing.alerts)
    for key, alert in standing.alerts.items():
        if alert.state is not AlertState.FIRING:
            continue
        if alert.again_at is None:
            alerts[key] = alert.model_copy(update={"again_at": now + rules.again})
        elif now >= alert.again_at and part.takes(alert):
            alerts[key] = alert.model_copy(update={"again_at": now + rules.again})
            changes.append(AlertChange(alert=alert, status=AlertStatus.FIRED, at=now))
    return standing.model_copy(update={"alerts": alerts}), tuple(changes)


def _troubled(standing: RuleStanding, rule: AlertRule, why: str, now: datetime) -> dict[str, Trouble]:
    """What cannot be evaluated, and since when; with no `why` this rule can."""
    before = standing.troubles.get(rule.id)
    others = {key: trouble for key, trouble in standing.troubles.items() if key != rule.id}
    if not why:
        return others
    return {**others, rule.id: Trouble(since=before.since if before else now, text=why[:_LONGEST_TROUBLE])}


def _for_people(found: Sequence[Sample]) -> float | None:
    """The one value there is, or the number of series."""
    if len(found) == 1:
        value = found[0].value
        return None if value is None or not math.isfinite(value) else value
    return float(len(found)) if found else None


def _key(rule: AlertRule, labels: Mapping[str, str]) -> str:
    return key_of(rule.id, labels)
