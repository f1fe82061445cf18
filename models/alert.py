"""An alert in the one form that everything behind the front door knows, whoever sent it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from models.base import Payload
from models.ids import DedupeKey, Name
from models.severity import Severity

LONGEST_TITLE = 300
LONGEST_DESCRIPTION = 8_000
LONGEST_KEY = 128
LONGEST_LABEL = 1_024
LONGEST_ANNOTATION = 4_000
LONGEST_URL = 2_000
MOST_LABELS = 64
MOST_LINKS = 16
MOST_ALERTS = 5_000
"""In one request."""

Key = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_KEY)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TITLE)]
Description = Annotated[str, StringConstraints(max_length=LONGEST_DESCRIPTION)]
Label = Annotated[str, StringConstraints(max_length=LONGEST_LABEL)]
Annotation = Annotated[str, StringConstraints(max_length=LONGEST_ANNOTATION)]
Url = Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^https?://")]


class AlertStatus(StrEnum):
    FIRED = "fired"
    CLEARED = "cleared"


class AlertLink(Payload):
    """Something to look at, such as a graph or a runbook."""

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    url: Url


class Alert(Payload):
    """One thing that a source says is wrong, or is right again.

    `dedupe_key` is the same in all that a source says of the same thing, so what cleared closes what fired; it is made
    by `analysis/dedupe.py`. Labels tell what it is about and are what rules match; annotations are for people. `values`
    are what was measured, as plain numbers: a ratio of 5% is 0.05.
    """

    source: Key = Field(description="which kind of sender, like alertmanager or generic/uptime")
    source_id: Annotated[str, StringConstraints(max_length=512)] = Field(default="", description="its id there")
    dedupe_key: DedupeKey
    status: AlertStatus
    service: Name
    environment: Name
    title: Title
    description: Description = ""
    severity: Severity | None = Field(default=None, description="what the sender calls it, where it says so")
    labels: dict[Key, Label] = Field(default_factory=dict, max_length=MOST_LABELS)
    annotations: dict[Key, Annotation] = Field(default_factory=dict, max_length=MOST_LABELS)
    values: dict[Key, float] = Field(default_factory=dict, max_length=MOST_LABELS)
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    links: tuple[AlertLink, ...] = Field(default=(), max_length=MOST_LINKS)


class AlertProblem(Payload):
    """Why one alert of a request, or all of it, was not understood.

    `index` is its position in the sender's list, None where the whole body is wrong. Of `found` only a beginning is
    shown.
    """

    index: int | None = None
    field: str
    found: str
    allowed: str

    def __str__(self) -> str:
        where = f"alert {self.index}: " if self.index is not None else ""
        return f"{where}{self.field} is {self.found}; allowed is {self.allowed}"


class IgnoredAlert(Payload):
    """Something that was understood and means neither that anything fired nor that it cleared."""

    index: int | None = None
    why: str


class Normalised(Payload):
    """All of one request: what is taken, what was not understood, and what concerns nobody here."""

    alerts: tuple[Alert, ...] = ()
    problems: tuple[AlertProblem, ...] = ()
    ignored: tuple[IgnoredAlert, ...] = ()


class SuppressedBy(StrEnum):
    """What keeps an alert from an incident of its own."""

    SILENCE = "silence"
    INHIBITION = "inhibition"
    NOTHING_OPEN = "nothing_open"


class Suppressed(Payload):
    """An alert that opens nothing now, and why; it is recorded, never just dropped."""

    alert: Alert
    by: SuppressedBy
    why: str = Field(description="a sentence for people")
    until: datetime | None = Field(default=None, description="when it would no longer be suppressed, where known")
    held_by: str = Field(default="", description="the incident that opens then, if it still fires")
