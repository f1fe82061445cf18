"""From what was found to alerts that are pending, firing and cleared.

As Prometheus does it (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/), with one difference:
what could not be read is no verdict. An alert stays what it was, and the time in which nothing was known counts for
nothing: neither towards `for` nor towards `keep_firing_for`.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.alert import LONGEST_KEY, LONGEST_LABEL, MOST_LABELS, AlertStatus
from models.alert_expression import Figure
from models.alert_rules import (
    ALERT_NAME,
    BLIND,
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
    """`found` is what was read for the rules that were due, by their ids."""
    changes: list[AlertChange] = []
    for rule in rules.rules:
        if rule.id in found:
            standing, changed = _with_rule(rule, standing, found[rule.id], now)
            changes += changed
    standing, changed = _blindness(rules, standing, now)
    return _said_again(rules, standing, [*changes, *changed], now)


def revised(old: RuleSet, new: RuleSet, standing: RuleStanding) -> RuleStanding:
    """What stands after an edit: pending alerts of rules that are there no more, or mean something else, are forgotten.

    Those that fire are left without a rule, for `cleared_orphans`.
    """
    before = {rule.id: rule for rule in old.rules}
    kept = {rule.id for rule in new.rules if rule.id in before and _same_alerts(before[rule.id], rule)}
    alerts = {
        key: alert
        for key, alert in standing.alerts.items()
        if alert.rule in kept or alert.rule == BLIND or alert.state is AlertState.FIRING
    }
    changes: dict[str, object] = {
        "alerts": {
            key: alert if alert.rule in kept or alert.rule == BLIND else _orphaned(alert)
            for key, alert in alerts.items()
        },
        "troubles": {rule: trouble for rule, trouble in standing.troubles.items() if rule in kept},
        "values": {rule: value for rule, value in standing.values.items() if rule in kept},
        "evaluated_at": {rule: at for rule, at in standing.evaluated_at.items() if rule in kept},
    }
    if old.metrics != new.metrics:
        changes |= {"last": None, "counted": ()}
    return standing.model_copy(update=changes)


def cleared_orphans(
    rules: RuleSet, standing: RuleStanding, now: datetime
) -> tuple[RuleStanding, tuple[AlertChange, ...]]:
    """Clear what fires and belongs to no rule any more."""
    known = {BLIND, *(rule.id for rule in rules.rules)} if rules.rules else set[str]()
    gone = {key: alert for key, alert in standing.alerts.items() if alert.rule not in known}
    left = {key: alert for key, alert in standing.alerts.items() if key not in gone}
    changes = tuple(
        AlertChange(alert=alert, status=AlertStatus.CLEARED, at=now)
        for alert in gone.values()
        if alert.state is AlertState.FIRING
    )
    return standing.model_copy(update={"alerts": left}), changes


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
    rule: AlertRule, standing: RuleStanding, found: Found, now: datetime
) -> tuple[RuleStanding, list[AlertChange]]:
    mine = {key: alert for key, alert in standing.alerts.items() if alert.rule == rule.id}
    evaluated_at = {**standing.evaluated_at, rule.id: now}
    active: dict[str, Sample] = {}
    unknown: set[str] = set()
    if not isinstance(found, Unread):
        active, unknown = _sorted_out(rule, found)
        found = _too_much(rule, active) or found
    if isinstance(found, Unread):
        trouble = Trouble(since=_since(standing, rule.id, now), text=found.why[:_LONGEST_TROUBLE])
        changes = {"troubles": {**standing.troubles, rule.id: trouble}, "evaluated_at": evaluated_at}
        return standing.model_copy(update=changes), []
    alerts, changed = _decided(rule, mine, active, unknown, now)
    others = {key: alert for key, alert in standing.alerts.items() if alert.rule != rule.id}
    troubles = {key: trouble for key, trouble in standing.troubles.items() if key != rule.id}
    update = {
        "alerts": {**others, **alerts},
        "troubles": troubles,
        "values": {**standing.values, rule.id: _for_people(found)},
        "evaluated_at": evaluated_at,
    }
    return standing.model_copy(update=update), changed


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


def _decided(
    rule: AlertRule, mine: Mapping[str, ActiveAlert], active: Mapping[str, Sample], unknown: set[str], now: datetime
) -> tuple[dict[str, ActiveAlert], list[AlertChange]]:
    alerts: dict[str, ActiveAlert] = {}
    changes: list[AlertChange] = []
    for key, sample in active.items():
        before = mine.get(key)
        alert = _holds(rule, before, sample, now)
        if alert.state is AlertState.FIRING and (before is None or before.state is AlertState.PENDING):
            changes.append(AlertChange(alert=alert, status=AlertStatus.FIRED, at=now))
        alerts[key] = alert
    for key, alert in mine.items():
        if key in active:
            continue
        if key in unknown:
            alerts[key] = alert
        elif alert.state is AlertState.FIRING:
            kept = _holds_not(rule, alert, now)
            if kept:
                alerts[key] = kept
            else:
                changes.append(AlertChange(alert=alert, status=AlertStatus.CLEARED, at=now))
    return alerts, changes


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


def _blindness(rules: RuleSet, standing: RuleStanding, now: datetime) -> tuple[RuleStanding, list[AlertChange]]:
    """The alert that rules cannot be evaluated, by its own rule."""
    mine = {key: alert for key, alert in standing.alerts.items() if alert.rule == BLIND}
    if rules.blind_after is None and not mine:
        return standing, []
    worst = min(standing.troubles.items(), key=lambda item: (item[1].since, item[0]), default=None)
    fires = worst is not None and rules.blind_after is not None and now - worst[1].since >= rules.blind_after
    if bool(mine) == fires:
        return standing, []
    others = {key: alert for key, alert in standing.alerts.items() if alert.rule != BLIND}
    if not fires or worst is None:
        changes = [AlertChange(alert=alert, status=AlertStatus.CLEARED, at=now) for alert in mine.values()]
        return standing.model_copy(update={"alerts": others}), changes
    labels = {ALERT_NAME: BLIND, "rules": rules.ref.service}
    alert = ActiveAlert(
        rule=BLIND,
        labels=labels,
        annotations={
            "summary": f"alert rules of {rules.ref.service} cannot be evaluated, so nothing would fire",
            "description": f"{worst[0]}: {worst[1].text}",
        },
        state=AlertState.FIRING,
        since=worst[1].since,
        known_at=now,
        fired_at=now,
    )
    standing = standing.model_copy(update={"alerts": {**others, _digest(BLIND, labels): alert}})
    return standing, [AlertChange(alert=alert, status=AlertStatus.FIRED, at=now)]


def _said_again(
    rules: RuleSet, standing: RuleStanding, changes: list[AlertChange], now: datetime
) -> tuple[RuleStanding, tuple[AlertChange, ...]]:
    """What fires is said again every so often: somebody may have closed its incident, or a silence have ended."""
    alerts = dict(standing.alerts)
    for key, alert in standing.alerts.items():
        if alert.state is not AlertState.FIRING:
            continue
        if alert.again_at is None:
            alerts[key] = alert.model_copy(update={"again_at": now + rules.again})
        elif now >= alert.again_at:
            alerts[key] = alert.model_copy(update={"again_at": now + rules.again})
            changes.append(AlertChange(alert=alert, status=AlertStatus.FIRED, at=now))
    return standing.model_copy(update={"alerts": alerts}), tuple(changes)


def _same_alerts(one: AlertRule, other: AlertRule) -> bool:
    """Whether both rules make the same alerts of the same things; bounds and times may differ."""
    figures = [rule.comparison.figure if rule.comparison else None for rule in (one, other)]
    return (one.name, one.labels, one.query, figures[0]) == (other.name, other.labels, other.query, figures[1])


def _orphaned(alert: ActiveAlert) -> ActiveAlert:
    return alert.model_copy(update={"rule": ""})


def _since(standing: RuleStanding, rule: str, now: datetime) -> datetime:
    trouble = standing.troubles.get(rule)
    return trouble.since if trouble else now


def _for_people(found: Sequence[Sample]) -> float | None:
    """The one value there is, or the number of series."""
    if len(found) == 1:
        value = found[0].value
        return None if value is None or not math.isfinite(value) else value
    return float(len(found)) if found else None


def _key(rule: AlertRule, labels: Mapping[str, str]) -> str:
    return _digest(rule.id, labels)


def _digest(rule: str, labels: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([rule, *sorted(labels.items())]).encode()).hexdigest()[:16]
