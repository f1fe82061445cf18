"""What the front door answers to those who send alerts."""

from typing import Annotated

from pydantic import Field, StringConstraints

from models.alert import AlertProblem, IgnoredAlert
from models.base import Payload

Sentence = Annotated[str, StringConstraints(max_length=1_000)]


class TakenBy(Payload):
    """An incident that took alerts of the request, as Temporal has confirmed."""

    incident: str
    fired: int = 0
    cleared: int = 0


class NotTaken(Payload):
    """Alerts that Temporal did not take, and why; to be sent again."""

    incident: str
    alerts: int
    why: Sentence


class OpensNothing(Payload):
    """An alert that was understood and opens nothing now; it is recorded with why."""

    title: str
    by: str
    why: str
    key: str = Field(default="", description="what this alert is known by when it fires and when it clears")
    held_by: str = Field(default="", description="the incident that opens once that is over, if it still fires then")


class AlertsAnswer(Payload):
    """What became of each alert of one request; the status is 2xx only if nothing failed and all was understood.

    Sent again after another status, what was taken is not counted twice.
    """

    request: str = Field(description="names this request in the audit log")
    taken: int = 0
    incidents: tuple[TakenBy, ...] = ()
    suppressed: tuple[OpensNothing, ...] = ()
    failed: tuple[NotTaken, ...] = ()
    problems: tuple[AlertProblem, ...] = ()
    ignored: tuple[IgnoredAlert, ...] = ()


class Refusal(Payload):
    """Why a request was not let in, or not read."""

    detail: Sentence
