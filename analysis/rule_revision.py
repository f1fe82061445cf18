"""What stands of alert rules after they were edited."""

from datetime import datetime

from models.alert import AlertStatus
from models.alert_rules import BLIND, ActiveAlert, AlertChange, AlertRule, AlertState, RuleSet, RuleStanding


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


def _same_alerts(one: AlertRule, other: AlertRule) -> bool:
    """Whether both rules make the same alerts of the same things; bounds and times may differ."""
    figures = [rule.comparison.figure if rule.comparison else None for rule in (one, other)]
    return (one.name, one.labels, one.query, figures[0]) == (other.name, other.labels, other.query, figures[1])


def _orphaned(alert: ActiveAlert) -> ActiveAlert:
    return alert.model_copy(update={"rule": ""})
