"""Alert rules as they are evaluated: what is asked, what stands, what changed."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from models.alert import Alert, AlertStatus
from models.alert_expression import Comparison
from models.base import Payload
from models.counters import Counters, MetricSnapshot
from models.ids import Name, ServiceRef
from models.incident_spec import IncidentsSpec
from models.judge_spec import MetricsSpec
from models.quantities import Duration
from models.severity import Severity
from models.traffic import TrafficSpec

MOST_ALERTS_OF_A_RULE = 200
BLIND = "AlertRulesBlind"
"""The alert that rules cannot be evaluated."""

ALERT_NAME = "alertname"


class AlertRouting(Payload):
    """What alerts of rules go by on their way to an incident; a slice of the catalog."""

    environment: Name
    incidents: IncidentsSpec = IncidentsSpec()
    depends_on: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)


class PrometheusAddress(Payload):
    url: str
    token: str | None = None
    timeout: Duration = timedelta(seconds=10)


class AlertRule(Payload):
    """`id` is the rule's own in its set. Without a comparison all that its query finds is active, as to Prometheus."""

    id: str
    name: str
    comparison: Comparison | None = None
    query: str = ""
    lasting: Duration = timedelta(0)
    keep_firing_for: Duration = timedelta(0)
    interval: Duration
    limit: int = Field(default=MOST_ALERTS_OF_A_RULE, description="of active alerts; more are an error")
    severity: Severity | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    group: str = ""


class RuleSet(Payload):
    """The rules of one service over its metrics, or those of rule files over a Prometheus."""

    ref: ServiceRef = Field(description="the environment and the set's name, which is its service's where it has one")
    rules: tuple[AlertRule, ...]
    metrics: MetricsSpec | None = None
    traffic: TrafficSpec | None = None
    prometheus: PrometheusAddress | None = None
    window: Duration = timedelta(minutes=1)
    min_requests: int = 1
    blind_after: Duration | None = timedelta(minutes=10)
    again: Duration = timedelta(hours=4)
    routing: AlertRouting

    @property
    def of_a_service(self) -> bool:
        return self.metrics is not None


class AlertState(StrEnum):
    PENDING = "pending"
    FIRING = "firing"


class ActiveAlert(Payload):
    """One series of a rule for which the comparison holds, or held not long ago."""

    rule: str
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    severity: Severity | None = None
    value: float | None = None
    figure: str = Field(default="query", description="the name under which severity rules compare the value")
    state: AlertState = AlertState.PENDING
    since: datetime = Field(description="when it began to hold, moved on by time in which nothing was known")
    known_at: datetime = Field(description="when it was last known to hold or not")
    fired_at: datetime | None = None
    holds_not_since: datetime | None = None
    again_at: datetime | None = Field(default=None, description="when it is to be sent again if it still fires")


class Trouble(Payload):
    """Why a rule cannot be evaluated."""

    since: datetime
    text: str


class Counted(Payload):
    """What a service answered between two looks, the later of them `at`."""

    at: datetime
    seconds: float
    counters: Counters


class RuleStanding(Payload):
    """All that is known of a set's rules: what travels with heartbeats, and from one run to the next."""

    alerts: dict[str, ActiveAlert] = Field(default_factory=dict)
    troubles: dict[str, Trouble] = Field(default_factory=dict, description="by rule")
    values: dict[str, float | None] = Field(default_factory=dict, description="by rule: what was found, for people")
    evaluated_at: dict[str, datetime] = Field(default_factory=dict, description="by rule")
    last: MetricSnapshot | None = None
    counted: tuple[Counted, ...] = ()


class AlertChange(Payload):
    """An alert that fired, fires still and is due to be said again, or cleared."""

    alert: ActiveAlert
    status: AlertStatus
    at: datetime


class WatchRules(Payload):
    """Evaluate until something changes, going on from what stands."""

    rules: RuleSet
    standing: RuleStanding = RuleStanding()


class RulesWatched(Payload):
    standing: RuleStanding
    changes: tuple[AlertChange, ...]


class AlertsToSend(Payload):
    """`request` names the batch: sent again under the same name, it is not counted twice."""

    request: str
    set: ServiceRef
    alerts: tuple[Alert, ...]
    routing: AlertRouting


class AlertsSent(Payload):
    """`suppressed` are the keys of those that opened nothing, and why."""

    suppressed: dict[str, str] = Field(default_factory=dict)


class RulesState(Payload):
    """What a set's workflow begins with, and carries from one run to its next."""

    rules: RuleSet
    standing: RuleStanding = RuleStanding()
    outbox: tuple[AlertsToSend, ...] = Field(default=(), description="not taken by Temporal yet")
    sent: int = Field(default=0, description="how many batches there were")
    removed: bool = Field(default=False, description="it ends once what fires is cleared")
    revised_at: datetime | None = None
    revised_by: str = ""
    suppressed: dict[str, str] = Field(default_factory=dict, description="alerts that fire and opened nothing: why")
    events_per_run: int = Field(default=2_000, ge=30)


class ReviseRules(Payload):
    """Go by these rules from now on; without any, clear what fires and end."""

    rules: RuleSet | None = None
    by: str = ""
