"""Senders of alerts that have no form of ours: where in their JSON things stand."""

from pydantic import Field

from models.base import Written
from models.severity import SeverityWord
from models.templates import JMESPath


class GenericSource(Written):
    """How to read a sender's JSON. Expressions are JMESPath (https://jmespath.org), applied to each alert."""

    alerts: JMESPath | None = Field(default=None, description="finds the list of alerts; the body is one without")
    id: JMESPath | None = Field(default=None, description="finds what is the same when it fires and when it clears")
    title: JMESPath = Field(description="finds what it is called")
    status: JMESPath | None = Field(default=None, description="finds whether it fired or cleared; fired without")
    cleared: tuple[str, ...] = Field(
        default=("resolved", "cleared", "closed", "ok", "up", "recovered", "normal"),
        description="what the status reads when it cleared, in any case of letters",
    )
    description: JMESPath | None = Field(default=None, description="finds a text for people")
    service: JMESPath | None = Field(default=None, description="finds the service; its labels may tell it, too")
    environment: JMESPath | None = Field(default=None, description="finds the environment")
    severity: JMESPath | None = Field(default=None, description="finds how grave it is")
    severities: dict[str, SeverityWord] = Field(
        default_factory=dict, description="what the sender's words for that mean; SEV1 to SEV4 are known"
    )
    labels: JMESPath | None = Field(default=None, description="finds an object of labels")
    values: JMESPath | None = Field(default=None, description="finds an object of what was measured, numbers")
    starts_at: JMESPath | None = Field(default=None, description="finds when it began, as ISO 8601 or Unix seconds")
    url: JMESPath | None = Field(default=None, description="finds a page to look at")
