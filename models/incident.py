"""An incident: what is told to it, what it knows, how it stands."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, StringConstraints

from models.alert import LONGEST_TITLE, MOST_LINKS, Alert, AlertLink
from models.audit import AuditEntry
from models.base import Payload
from models.held import HeldAlert
from models.ids import IncidentRef
from models.incident_spec import FlapSpec, OpenAfter
from models.notification import Notification, NotificationKind, NotifyTarget
from models.quantities import Duration
from models.severity import ResponseTargets, Severity

MOST_TRACKED = 1_000
"""Alerts of one incident that are told from each other; what cleared longest ago makes room. What fires beyond so many
that fire is counted; as nobody would know when that has cleared, such an incident is resolved by a person.
"""

TIMELINE_KEPT = 100
REQUESTS_KEPT = 500
MOST_TASKS = 200
MOST_RESPONDERS = 50
MOST_PARTS = 200


class Phase(StrEnum):
    """PENDING: it may become one, and pages nobody yet. RESOLVED: kept for a while, as it may fire again."""

    PENDING = "pending"
    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def final(self) -> bool:
        return self is Phase.CLOSED

    @property
    def open(self) -> bool:
        """Whether somebody has something to do."""
        return self in {Phase.TRIGGERED, Phase.ACKNOWLEDGED}


class Role(StrEnum):
    COMMANDER = "commander"
    RESPONDER = "responder"


class EscalationLevel(Payload):
    """Whom a level pages, and how long until the next is due; None: the severity's response target."""

    notify: tuple[NotifyTarget, ...]
    wait: Duration | None = None


class IncidentRules(Payload):
    """What an incident goes by from its first alert to its end; a later edit of the catalog does not change it."""

    levels: tuple[EscalationLevel, ...] = Field(default=(), max_length=20)
    repeat: int = Field(default=2, ge=0, le=9)
    response: ResponseTargets = ResponseTargets()
    acknowledged_for: Duration | None = timedelta(hours=1)
    reopen_within: Duration = timedelta(minutes=30)
    auto_resolve: bool = True
    flapping: FlapSpec = FlapSpec()
    open_after: OpenAfter | None = None
    hold_for: Duration = timedelta(days=7)


LONGEST_WHO = 200
Who = Annotated[str, StringConstraints(max_length=LONGEST_WHO)]
Text = Annotated[str, StringConstraints(max_length=2_000)]


class Order(Payload):
    """What a person asks for: acknowledge, resolve, escalate, unsnooze, split. May be left out altogether.

    `SHORT` names the field that is meant where somebody sends a bare text or number instead of an object.
    """

    SHORT: ClassVar[str] = "by"

    by: Who = "someone"
    note: Text = ""
    from_where: Who = Field(default="", description="front door and host, like command@laptop")


class Snooze(Order):
    """Page nobody for a while; without a word, for an hour."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)
    SHORT: ClassVar[str] = "for"

    lasting: Duration = Field(default=timedelta(hours=1), alias="for")


class Note(Order):
    """`text`, or `note`, is written on the timeline."""

    SHORT: ClassVar[str] = "text"

    text: Text = ""


class Assign(Order):
    """Give a role to somebody. There is one commander; responders add up."""

    SHORT: ClassVar[str] = "person"

    role: Role = Role.RESPONDER
    person: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AddTask(Order):
    SHORT: ClassVar[str] = "text"

    text: Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class FinishTask(Order):
    SHORT: ClassVar[str] = "number"

    number: int


class Merge(Order):
    """`into` is the other incident's workflow id. This one pages nobody from then on."""

    SHORT: ClassVar[str] = "into"

    into: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Part(Payload):
    """What an incident that was merged tells the one that it was merged into, whenever it changes."""

    workflow_id: str
    title: str
    severity: Severity
    open: bool = Field(description="it still fires")
    merged: bool = Field(default=True, description="false: it goes its own way again")


class AlertSignal(Payload):
    """All alerts of one request for one incident. `request` names the request, should it be sent again; may be empty.

    `severity` is what the rules say of them; an incident is as grave as the gravest. `clears` are those of them that
    the same request says to have cleared after that.
    """

    alerts: tuple[Alert, ...]
    request: Who = ""
    severity: Severity | None = None
    clears: tuple[str, ...] = ()


class TrackedAlert(Payload):
    """One alert of an incident, whatever number of times it came."""

    title: str
    source: str
    service: str = ""
    fires: bool
    since: datetime
    count: int = 1


class TimelineEntry(Payload):
    """`number` counts from 1 over all of the incident."""

    number: int
    at: datetime
    text: str
    by: str = ""


class Task(Payload):
    number: int
    text: str
    by: str
    done_by: str | None = None
    done_at: datetime | None = None


class Escalation(Payload):
    """Where an incident stands in its policy: what is due next, and when."""

    cycle: int = 0
    level: int = Field(default=0, description="index of the level that is due next")
    since: datetime = Field(description="when the level before was due, or the escalation began")
    due_at: datetime


class Page(Payload):
    """A level that is due: it is sent to each of its targets, which the policy knows by these names."""

    step: int
    level: int = Field(description="counted from 1; 0 for an update")
    kind: NotificationKind
    due_at: datetime
    text: str
    targets: tuple[str, ...]
    sent: tuple[str, ...] = Field(default=(), description="names of the targets that have it, or never will")
    failed: tuple[str, ...] = Field(default=(), description="of those, the ones that never will")


class Message(Payload):
    """Something to tell another incident."""

    workflow_id: str
    part: Part | None = None
    order: Order | None = Field(default=None, description="to resolve, or to go its own way again")
    signal: str


class IncidentState(Payload):
    """All that an incident knows: what a query returns, and what it carries from one run to its next."""

    ref: IncidentRef
    title: Annotated[str, StringConstraints(max_length=LONGEST_TITLE)]
    description: str = ""
    links: tuple[AlertLink, ...] = ()
    severity: Severity
    phase: Phase = Phase.TRIGGERED
    by_hand: bool = Field(default=False, description="a person opened it, and is to say when that is over")
    opened_at: datetime
    triggered_at: datetime | None = Field(default=None, description="when it last began to wait for somebody")
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    closed_at: datetime | None = None
    count: int = Field(default=0, description="alerts that fired")
    alerts: dict[str, TrackedAlert] = Field(default_factory=dict, description="by source and dedupe key")
    untracked: int = Field(default=0, description="alerts beyond those that are told from each other")
    held: dict[str, HeldAlert] = Field(default_factory=dict, description="fire and page nobody, while it is not open")
    held_by: str = Field(default="", description="task queue of who knows what keeps them")
    look_due: datetime | None = Field(default=None, description="when it is to be looked whether they are still kept")
    looks: int = Field(default=0, description="how many such looks were decided")
    looking: bool = Field(default=False, description="the last of them is not answered yet")
    unheld: int = Field(default=0, description="alerts for which there was no room among those that are held")
    began_held: bool = Field(default=False, description="with alerts that were held, and nothing else was heard yet")
    changes: tuple[datetime, ...] = Field(default=(), description="when it last turned between fired and cleared")
    first_alerts: tuple[datetime, ...] = Field(default=(), description="while pending: when alerts came")
    escalation: Escalation | None = None
    snoozed_until: datetime | None = None
    missed_at: datetime | None = Field(default=None, description="when nobody had acknowledged in time, last")
    merged_into: str = ""
    parts: dict[str, Part] = Field(default_factory=dict)
    commander: str = ""
    responders: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    entries: int = Field(default=0, description="how many there were on the timeline")
    requests: tuple[str, ...] = Field(default=(), description="the last requests that were heard")
    strange: int = Field(default=0, description="alerts that cleared and did not fire here, not on the timeline yet")
    strange_titles: tuple[str, ...] = Field(default=(), description="of the first of them")
    reached: int = Field(default=0, description="how many levels, from the first on, were paged")
    steps: int = Field(default=0, description="how many pages and updates were decided")
    outbox: tuple[Page, ...] = Field(default=(), description="decided and not sent to everyone yet, in order")
    messages: tuple[Message, ...] = Field(default=(), description="to other incidents, not sent yet")

    @property
    def firing(self) -> bool:
        return (
            self.untracked > 0
            or any(alert.fires for alert in self.alerts.values())
            or any(part.open for part in self.parts.values())
        )


class IncidentRequest(Payload):
    """What an incident begins with, and begins its next run with."""

    ref: IncidentRef
    title: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE)]
    description: Text = ""
    links: tuple[AlertLink, ...] = Field(default=(), max_length=MOST_LINKS)
    severity: Severity
    rules: IncidentRules = IncidentRules()
    opened_by: Who = Field(default="", description="a person; empty when alerts open it")
    note: Text = ""
    from_where: Who = ""
    held: bool = Field(default=False, description="all that it begins with is held")
    state: IncidentState | None = Field(default=None, description="from its last run")
    recorded: int = Field(default=0, description="the last entry of the timeline that its last run has recorded")
    unrecorded: tuple[AuditEntry, ...] = Field(default=(), description="orders that its last run has not recorded")
    unrecorded_sent: tuple["NotificationRecord", ...] = Field(
        default=(), description="messages that its last run has sent and not recorded"
    )
    events_per_run: int = Field(default=2_000, ge=30, description="of history; then it continues as new")

    @property
    def begins_pending(self) -> bool:
        """Whether something must come first: several alerts, or the end of a silence. A person's word is enough."""
        wanted = self.rules.open_after
        return not self.opened_by and (self.held or (wanted is not None and wanted.several))


class IncidentOutcome(Payload):
    """What an incident that is closed leaves in Temporal; the records have all of it."""

    ref: IncidentRef
    severity: Severity
    count: int
    opened_at: datetime
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None


class NotificationRecord(Payload):
    """A message and what became of it: sent when `sent_at` is there."""

    notification: Notification
    sent_at: datetime | None = None
    problem: str = ""


class IncidentRecord(Payload):
    """One incident as it was seen at one moment, for the records; the greatest revision of a run is kept."""

    workflow_id: str
    run_id: str
    revision: int = 0
    ref: IncidentRef
    title: str
    severity: Severity
    phase: Phase
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    closed_at: datetime | None = None
    count: int
    missed_target: bool = False
    merged_into: str = ""
    commander: str = ""
    responders: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    alerts: tuple[TrackedAlert, ...] = Field(default=(), description="at its end: what fires first, the newest first")
    timeline: tuple[TimelineEntry, ...] = Field(default=(), description="entries not recorded before")
    notifications: tuple[NotificationRecord, ...] = Field(default=(), description="those not recorded before")
