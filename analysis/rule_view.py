"""Alert rules in words: what the Temporal UI and `holdfast rules show` print."""

from models.alert_expression import Figure, expression_text, value_text
from models.alert_rules import ALERT_NAME, ActiveAlert, AlertRule, AlertState, RulesState, RuleStanding
from models.quantities import format_duration

_SHOWN = 50
_LONGEST_QUERY = 160


def details_markdown(state: RulesState) -> str:
    """What stood when something last changed."""
    rules = state.rules
    lines = [f"**{len(rules.rules)} alert rules of {rules.ref.service} in {rules.ref.environment}**", ""]
    if state.removed:
        lines += ["- removed; what fires is cleared", ""]
    lines += [f"- {rule_line(rule)}" for rule in rules.rules[:_SHOWN]]
    fires = [alert for alert in state.standing.alerts.values() if alert.state is AlertState.FIRING]
    lines += ["", "**Firing**", "", *([f"- {alert_line(alert)}" for alert in fires[:_SHOWN]] or ["- nothing"])]
    return "\n".join(lines)


def rule_line(rule: AlertRule) -> str:
    return f"{rule.id}: {condition(rule)}"


def condition(rule: AlertRule) -> str:
    """When it fires."""
    query = " ".join(rule.query.split())
    shown = query if len(query) <= _LONGEST_QUERY else f"{query[:_LONGEST_QUERY]}…"
    if rule.comparison is None:
        return f"{shown} for {format_duration(rule.lasting)}" if rule.lasting else shown
    text = expression_text(rule.comparison, rule.lasting)
    return f"{text}, query: {shown}" if shown else text


def state_of(rule: AlertRule, standing: RuleStanding) -> str:
    """In a word or two."""
    if rule.id in standing.troubles:
        return "not evaluated"
    mine = [alert.state for alert in standing.alerts.values() if alert.rule == rule.id]
    firing, pending = mine.count(AlertState.FIRING), mine.count(AlertState.PENDING)
    if firing:
        return "firing" if firing == 1 else f"{firing} firing"
    if pending:
        return "pending" if pending == 1 else f"{pending} pending"
    return "quiet" if rule.id in standing.evaluated_at else "not evaluated yet"


def found_text(rule: AlertRule, standing: RuleStanding) -> str:
    """What was last found, as people read it."""
    if rule.id not in standing.values:
        return ""
    value = standing.values[rule.id]
    if rule.comparison is None:
        return "nothing" if value is None else f"{value:.6g}"
    return "nothing" if value is None else value_text(rule.comparison.figure, value)


def alert_line(alert: ActiveAlert) -> str:
    labels = ", ".join(f'{name}="{text}"' for name, text in sorted(alert.labels.items()) if name != ALERT_NAME)
    name = alert.labels.get(ALERT_NAME, alert.rule)
    began = alert.fired_at or alert.since
    value = "" if alert.value is None else f", {value_text(Figure(alert.figure), alert.value)}"
    said = f" {{{labels}}}" if labels else ""
    return f"{name}{said} {alert.state} since {began:%Y-%m-%d %H:%M:%S} UTC{value}"
