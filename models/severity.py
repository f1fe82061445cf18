"""How grave an incident is, SEV1 the gravest, and how soon somebody is to answer."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import WithJsonSchema

from models.base import Written
from models.quantities import Duration


class Severity(StrEnum):
    """The field's four steps. They compare by name, so `min` of several is the gravest."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


SeverityWord = Annotated[Severity, WithJsonSchema({"type": "string", "enum": [str(each) for each in Severity]})]
"""A severity as people write it; in line in the schema, so that errors list what is allowed."""


class ResponseTargets(Written):
    """How soon after it was triggered somebody is to have acknowledged an incident."""

    SEV1: Duration = timedelta(minutes=10)
    SEV2: Duration = timedelta(minutes=15)
    SEV3: Duration = timedelta(hours=1)
    SEV4: Duration = timedelta(hours=8)

    def of(self, severity: Severity) -> timedelta:
        target: timedelta = getattr(self, severity.value)
        return target
