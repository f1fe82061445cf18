"""Alert rules with good defaults, for tests to vary."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from analysis.rule_evaluation import Found, Sample, evaluated
from models.alert import AlertStatus
from models.alert_expression import read_expression
from models.alert_rules import (
    AlertChange,
    AlertRouting,
    AlertRule,
    AlertState,
    PrometheusAddress,
    RuleSet,
    RuleStanding,
)
from models.ids import ServiceRef
from models.judge_spec import EnvoyMetrics
from models.traffic import EnvoyTraffic
from tests.factories import WHEN

SHOP = ServiceRef(environment="local", service="shop")
STEP = timedelta(seconds=15)


def a_rule(expr: str = "error_rate > 5% for 1m", name: str = "errors", **more: object) -> AlertRule:
    read = read_expression(expr)
    fields = {
        "id": name,
        "name": name,
        "comparison": read.comparison,
        "lasting": read.lasting or timedelta(0),
        "interval": STEP,
        **more,
    }
    return AlertRule.model_validate(fields)


def a_promql_rule(query: str = "up == 0", name: str = "down", **more: object) -> AlertRule:
    return AlertRule.model_validate({"id": name, "name": name, "query": query, "interval": STEP, **more})


def a_set(*rules: AlertRule, **more: object) -> RuleSet:
    fields = {
        "ref": SHOP,
        "rules": rules or (a_rule(),),
        "metrics": EnvoyMetrics(),
        "traffic": EnvoyTraffic(listen="127.0.0.1:8080"),
        "routing": AlertRouting(environment="local"),
        **more,
    }
    return RuleSet.model_validate(fields)


def a_file_set(*rules: AlertRule, **more: object) -> RuleSet:
    address = PrometheusAddress(url="http://127.0.0.1:9090")
    return a_set(*(rules or (a_promql_rule(),)), metrics=None, traffic=None, prometheus=address, **more)


class Watched:
    """A set of one rule, looked at every step."""

    def __init__(self, rules: RuleSet | None = None) -> None:
        self.rules = rules or a_set()
        self.rule = self.rules.rules[0]
        self.standing = RuleStanding()
        self.now = WHEN - STEP
        self.changes: list[AlertChange] = []

    def see(self, found: Found | float | None, times: int = 1, *, after: timedelta = STEP) -> list[str]:
        """What changed, in a word for each change; a number stands for one series without labels."""
        seen: Found = (Sample({}, found),) if isinstance(found, float) or found is None else found
        said = []
        for _ in range(times):
            self.now += after
            self.standing, changes = evaluated(self.rules, self.standing, {self.rule.id: seen}, self.now)
            self.changes += changes
            said += [str(change.status) for change in changes]
        return said

    @property
    def states(self) -> list[str]:
        return sorted(str(alert.state) for alert in self.standing.alerts.values())

    @property
    def firing(self) -> bool:
        return any(alert.state is AlertState.FIRING for alert in self.standing.alerts.values())


def series(*values: float | None, label: str = "instance") -> Sequence[Sample]:
    """One series of each value, told apart by a label."""
    return tuple(Sample({label: f"i{number}"}, value) for number, value in enumerate(values))


FIRED, CLEARED = str(AlertStatus.FIRED), str(AlertStatus.CLEARED)


def moment(minutes: float) -> datetime:
    return WHEN + timedelta(minutes=minutes)
