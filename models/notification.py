"""What is sent to people, and where to."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.alert import AlertLink
from models.base import Payload, Written
from models.ids import IncidentRef, Name
from models.quantities import Duration
from models.severity import Severity
from models.templates import UrlTemplate


class ConsoleTarget(Written):
    """The inbox in the records, which `holdfast incident inbox` shows."""

    kind: Literal["console"] = "console"


class WebhookTarget(Written):
    """A POST of JSON, signed as https://www.standardwebhooks.com says."""

    kind: Literal["webhook"]
    url: UrlTemplate = Field(description="where it is sent")
    secret: str = Field(
        default="", description="what it is signed with; ${env:NAME} or ${file:/path}, looked up by the worker"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="how long one attempt may take")


TargetSpec = Annotated[ConsoleTarget | WebhookTarget, Field(discriminator="kind")]


class NotifyTarget(Payload):
    """A target under its name in the catalog."""

    name: Name
    spec: TargetSpec


class NotificationKind(StrEnum):
    """A page asks somebody to act, an update tells those who were paged how it went on."""

    PAGE = "page"
    UPDATE = "update"


class Notification(Payload):
    """One message to one target. `key` is the same at every attempt, so what came already is known."""

    key: str
    kind: NotificationKind
    target: NotifyTarget
    incident: IncidentRef
    workflow_id: str
    run_id: str = Field(description="the first of the incident's chain of runs")
    severity: Severity
    phase: str
    title: str
    description: str = ""
    links: tuple[AlertLink, ...] = ()
    text: str
    level: int = Field(description="counted from 1; 0 for an update")
    step: int = Field(description="counts what was sent for this incident")
    due_at: datetime
    acknowledge_with: str = Field(default="", description="the command that stops further pages")


class Delivered(Payload):
    """What became of one message."""

    key: str
    at: datetime
