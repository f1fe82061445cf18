"""Prometheus' files of alerting rules, and promtool's files that test rules, as far as Holdfast takes them.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from models.alert_rules_spec import AlertName, LabelName
from models.alert_templates import LabelTemplate, Template
from models.base import Written
from models.ids import Name
from models.mistakes import MistakeError
from models.templates import check_promql_brackets

A_PROMETHEUS_DURATION = "a duration like 30s, 5m, 1h30m or 1d"
PROMETHEUS_DURATION_RULE = r"^(0|([0-9]+(y|w|d|h|m|s|ms))+)$"
MOST_CHARACTERS = 20_000

_PART = re.compile(r"([0-9]+)(ms|y|w|d|h|m|s)")
_UNITS = ("y", "w", "d", "h", "m", "s", "ms")
_MILLISECONDS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}


def parse_prometheus_duration(value: object) -> timedelta:
    """Units from the largest to the smallest, each once; a year has 365 days. Raises MistakeError."""
    if isinstance(value, timedelta):
        return value
    text = "0" if value == 0 and not isinstance(value, bool) else value
    parts = _PART.findall(text) if isinstance(text, str) else []
    order = [_UNITS.index(unit) for _, unit in parts]
    if text != "0" and (not parts or "".join(n + u for n, u in parts) != text or order != sorted(set(order))):
        raise MistakeError(f"{value!r} is not {A_PROMETHEUS_DURATION}", allowed=A_PROMETHEUS_DURATION)
    try:
        return timedelta(milliseconds=sum(int(number) * _MILLISECONDS[unit] for number, unit in parts))
    except OverflowError as error:
        raise MistakeError(f"{value!r} is longer than can be held", allowed=A_PROMETHEUS_DURATION) from error


def _check_expression(text: str) -> str:
    if not text.strip():
        raise MistakeError("is empty")
    if len(text) > MOST_CHARACTERS:
        raise MistakeError(f"has {len(text)} characters; {MOST_CHARACTERS} are the most")
    return check_promql_brackets(text)


PrometheusDuration = Annotated[
    timedelta,
    BeforeValidator(parse_prometheus_duration),
    WithJsonSchema({"type": "string", "pattern": PROMETHEUS_DURATION_RULE}),
]
PrometheusExpression = Annotated[str, AfterValidator(_check_expression)]


def _refusing(sentences: dict[str, str]) -> Any:
    """A validator that says why keys are not taken, where a list of allowed ones would not."""

    def refuse(data: Any) -> Any:
        for key, sentence in sentences.items():
            if isinstance(data, dict) and key in data:
                raise MistakeError(sentence, at=(key,))
        return data

    return refuse


class AlertingRule(Written):
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    alert: AlertName
    expr: PrometheusExpression
    lasting: PrometheusDuration = Field(default=timedelta(0), alias="for")
    keep_firing_for: PrometheusDuration = timedelta(0)
    labels: dict[LabelName, LabelTemplate] = Field(default_factory=dict, max_length=40)
    annotations: dict[LabelName, Template] = Field(default_factory=dict, max_length=40)

    _refuse = model_validator(mode="before")(
        _refusing(
            {
                "record": "is a recording rule, which writes a series; only Prometheus can do that. Leave it in a file "
                "that Prometheus reads, and name its series here"
            }
        )
    )


class RuleGroup(Written):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    interval: PrometheusDuration | None = None
    limit: int = Field(default=0, ge=0)
    labels: dict[LabelName, LabelTemplate] = Field(default_factory=dict, max_length=40)
    rules: tuple[AlertingRule, ...] = Field(default=(), max_length=500)

    _refuse = model_validator(mode="before")(
        _refusing(
            {
                "query_offset": "is not supported: every rule is evaluated for the moment at which it is; "
                "write offset into the expressions",
                "partial_response_strategy": "is Thanos' own and not supported; leave it out",
                "source_tenants": "is Mimir's own and not supported; leave it out",
            }
        )
    )


class RuleFile(Written):
    """One file of alerting rules."""

    groups: tuple[RuleGroup, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _groups_are_distinct(self) -> "RuleFile":
        seen: set[str] = set()
        for position, group in enumerate(self.groups):
            if group.name in seen:
                raise MistakeError(f"two groups are named {group.name}", at=("groups", position, "name"))
            seen.add(group.name)
        return self


class InputSeries(Written):
    series: Annotated[str, Field(min_length=1, max_length=2_000)]
    values: str


class ExpectedAlert(Written):
    exp_labels: dict[str, str] = Field(default_factory=dict)
    exp_annotations: dict[str, str] | None = None


class AlertExpectation(Written):
    eval_time: PrometheusDuration
    alertname: str
    exp_alerts: tuple[ExpectedAlert, ...] = ()


class RuleTest(Written):
    name: str = ""
    interval: PrometheusDuration | None = Field(default=None, description="between two values; 1m without")
    input_series: tuple[InputSeries, ...] = Field(default=(), max_length=500)
    alert_rule_test: tuple[AlertExpectation, ...] = Field(min_length=1, max_length=500)

    _refuse = model_validator(mode="before")(
        _refusing(
            {
                "promql_expr_test": "tests PromQL itself, which only Prometheus evaluates; run it with promtool",
                "external_labels": "is not supported, as rules do not see them; leave it out",
                "external_url": "is not supported, as rules do not see it; leave it out",
            }
        )
    )


class RuleTestFile(Written):
    """What rules are to do with given data: promtool's format, and the rules of a catalog beside rule files."""

    rule_files: tuple[str, ...] = Field(default=(), max_length=50, description="beside this file")
    catalog: str = Field(default="", description="a catalog beside this file, whose service has rules")
    service: Name | None = None
    evaluation_interval: PrometheusDuration | None = None
    fuzzy_compare: bool = Field(default=False, description="promtool's own; numbers are not compared here")
    tests: tuple[RuleTest, ...] = Field(min_length=1, max_length=500)

    _refuse = model_validator(mode="before")(
        _refusing({"group_eval_order": "is not needed, as no rule sees what another one finds; leave it out"})
    )

    @model_validator(mode="after")
    def _names_rules(self) -> "RuleTestFile":
        if bool(self.rule_files) == bool(self.catalog):
            raise MistakeError("tests either rule_files, or the rules of a catalog's service; name one of the two")
        if self.catalog and self.service is None:
            raise MistakeError("whose rules are tested? Name the service beside it", at=("catalog",))
        return self
