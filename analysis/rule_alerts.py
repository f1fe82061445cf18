"""Alerts of rules in the one form that everything behind the front door knows."""

import math

from analysis.alert_making import Draft, Naming, make_alert
from models.alert import Alert
from models.alert_rules import ALERT_NAME, AlertChange, AlertRouting, RuleSet

SOURCE = "rules"


def alert_of(change: AlertChange, rules: RuleSet) -> Alert:
    """Raises NotUnderstoodError for labels that are too long or too many."""
    active = change.alert
    name = active.labels.get(ALERT_NAME, "")
    said = "\n".join(f"{label}={active.labels[label]}" for label in sorted(active.labels))
    annotations = active.annotations
    value = active.value
    return make_alert(
        Draft(
            source=SOURCE,
            identity=f"{rules.ref}\n{said}",
            source_id=f"{rules.ref.service}/{active.rule or name}",
            hint=name,
            status=change.status,
            title=annotations.get("summary") or name,
            description=annotations.get("description") or annotations.get("message", ""),
            service=rules.ref.service if rules.of_a_service else "",
            environment=rules.ref.environment if rules.of_a_service else "",
            severity=active.severity,
            labels=active.labels,
            annotations=annotations,
            values={} if value is None or not math.isfinite(value) else {active.figure: value},
            starts_at=active.fired_at,
            ends_at=change.at if change.status == "cleared" else None,
            links=[
                ("runbook", annotations.get("runbook_url", "")),
                ("dashboard", annotations.get("dashboard_url", "")),
            ],
        ),
        naming_of(rules.routing),
    )


def naming_of(routing: AlertRouting) -> Naming:
    spec = routing.incidents
    return Naming(routing.environment, spec.service_labels, spec.environment_labels, spec.unrouted)
