"""So many new incidents at once that people are better served by one."""

from collections.abc import Sequence
from datetime import datetime

from analysis.flapping import remembered
from models.ids import IncidentRef
from models.incident_spec import StormSpec

UMBRELLA = "storm"
"""Both the service and the key of the umbrella incident: there is one in an environment at a time."""


def umbrella(environment: str) -> IncidentRef:
    return IncidentRef(environment=environment, service=UMBRELLA, key=UMBRELLA)


def storms(opened: Sequence[datetime], spec: StormSpec, now: datetime) -> bool:
    """Whether one more new incident is one too many; `opened` is when the last ones began."""
    return len(remembered(opened, spec.within, now)) >= spec.incidents
