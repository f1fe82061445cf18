"""The catalog's words on alert rules: what is held against which bound, how often, and who is told with which words."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from models.alert_expression import Expression, Figure, read_expression
from models.alert_templates import LabelTemplate, Template
from models.base import Written
from models.metric_sources import Timeout, Token
from models.mistakes import MistakeError
from models.quantities import Duration, format_duration
from models.severity import SeverityWord
from models.templates import BaseUrl, check_placeholders

SHORTEST_INTERVAL, LONGEST_INTERVAL = timedelta(seconds=1), timedelta(hours=1)
MOST_LOOKS_IN_A_WINDOW = 240
"""Each look's counters travel with the heartbeats of who evaluates."""

ALERT_NAME_RULE = r"^\S(?:.{0,98}\S)?$"
LABEL_NAME_RULE = r"^[a-zA-Z_][a-zA-Z0-9_]*$"

AlertName = Annotated[str, Field(pattern=ALERT_NAME_RULE)]
LabelName = Annotated[str, Field(pattern=LABEL_NAME_RULE)]


def _an_interval(value: timedelta) -> timedelta:
    if not SHORTEST_INTERVAL <= value <= LONGEST_INTERVAL:
        allowed = f"{format_duration(SHORTEST_INTERVAL)} to {format_duration(LONGEST_INTERVAL)}"
        raise MistakeError(f"an interval of {format_duration(value)} is outside {allowed}", allowed=allowed)
    return value


Interval = Annotated[Duration, AfterValidator(_an_interval)]
BlindAfter = Annotated[
    Duration | None,
    Field(description="rules that could not be evaluated for so long are an alert themselves; null: never"),
]
Again = Annotated[Duration, Field(description="what still fires is sent again after so long")]


class AlertRuleSpec(Written):
    """One rule over the service's own figures, or over what a query finds."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    alert: AlertName = Field(description="what the alert is called")
    expr: Expression = Field(description="the comparison that makes it fire, like error_rate > 5% for 2m")
    query: Annotated[str, AfterValidator(check_placeholders)] | None = Field(
        default=None, description="PromQL or JMESPath, as the metrics' provider speaks it, whose result is `query`"
    )
    lasting: Duration | None = Field(
        default=None, alias="for", description="it fires once this has held so long; may stand in expr instead"
    )
    keep_firing_for: Duration = Field(
        default=timedelta(0), description="it clears only once the comparison has not held for so long"
    )
    severity: SeverityWord | None = Field(
        default=None, description="how grave it is, unless rules of incidents say; else by the label severity"
    )
    labels: dict[LabelName, LabelTemplate] = Field(default_factory=dict, max_length=40)
    annotations: dict[LabelName, Template] = Field(default_factory=dict, max_length=40)

    @model_validator(mode="after")
    def _query_and_figure_fit(self) -> "AlertRuleSpec":
        read = read_expression(self.expr)
        wants_query = read.comparison.figure is Figure.QUERY
        if wants_query and self.query is None:
            raise MistakeError("query is compared, and there is none; write one under query", at=("expr",))
        if not wants_query and self.query is not None:
            raise MistakeError(
                f"is never asked, as expr compares {read.comparison.figure}; write expr: query > 500", at=("query",)
            )
        if read.lasting is not None and self.lasting is not None:
            raise MistakeError("stands in expr already; keep one of the two", at=("for",))
        return self


class ServiceAlertsSpec(Written):
    """Rules of one's own over a service's metrics, evaluated by Holdfast."""

    interval: Interval = Field(default=timedelta(seconds=15), description="how often they are evaluated; 1s to 1h")
    window: Duration = Field(default=timedelta(minutes=1), description="how far back error_rate and the others look")
    min_requests: int = Field(
        default=1, ge=1, description="with fewer requests in the window error_rate and response times are not known"
    )
    blind_after: BlindAfter = timedelta(minutes=10)
    again: Again = timedelta(hours=4)
    rules: tuple[AlertRuleSpec, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _window_holds_intervals(self) -> "ServiceAlertsSpec":
        if self.window < self.interval:
            raise MistakeError("window must be at least one interval long", at=("window",))
        if self.window > MOST_LOOKS_IN_A_WINDOW * self.interval:
            longest = format_duration(MOST_LOOKS_IN_A_WINDOW * self.interval)
            raise MistakeError(
                f"window must hold at most {MOST_LOOKS_IN_A_WINDOW} intervals; with this one, {longest}", at=("window",)
            )
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "ServiceAlertsSpec":
        seen: set[str] = set()
        for position, rule in enumerate(self.rules):
            if rule.alert in seen:
                raise MistakeError(f"two rules are named {rule.alert}", at=("rules", position, "alert"))
            seen.add(rule.alert)
        return self


class AlertFilesSpec(Written):
    """Alerting rules in Prometheus' own files, evaluated by Holdfast against a Prometheus."""

    url: BaseUrl = Field(description="where Prometheus answers; /api/v1/query is appended")
    files: tuple[str, ...] = Field(min_length=1, max_length=50, description="rule files, beside the catalog")
    interval: Interval = Field(
        default=timedelta(minutes=1), description="how often groups are evaluated that do not say; 1s to 1h"
    )
    blind_after: BlindAfter = timedelta(minutes=10)
    again: Again = timedelta(hours=4)
    token: Token = None
    timeout: Timeout = timedelta(seconds=10)
