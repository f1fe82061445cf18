"""Alerts that an incident holds: what keeps them from opening it, until that is over or they have cleared."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from models.alert import Alert
from models.base import Payload
from models.ids import IncidentRef
from models.severity import Severity

LOOK_AGAIN = timedelta(minutes=5)
"""How often it is looked whether something still keeps them: silences are ended early, and nobody knows when what a
service stands on is up again.
"""

MOST_HELD = 200
LARGEST_HELD = 400_000
"""Bytes of all that one incident holds. What comes beyond is recorded, and opens it only if it is sent again."""

LONGEST_HOLD = timedelta(days=365)

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Hold(Payload):
    """`until` is when it would be over, where that is known."""

    why: str = Field(description="a sentence for people")
    until: AwareDatetime | None = None


class HeldAlert(Payload):
    """An alert with all that rules read of it, and how grave they call it. `size` is that of alert and hold in bytes,
    which who sends it knows; 0 is looked up.
    """

    alert: Alert
    severity: Severity
    hold: Hold
    size: int = Field(default=0, ge=0)
    heard_at: AwareDatetime = Field(default=_NEVER, description="when it was last sent, as the incident knows")


class HeldSignal(Payload):
    """Alerts of one request that fire and page nobody now. `front_door` is the task queue of who knows what keeps
    them; `clears` as in an AlertSignal.
    """

    alerts: tuple[HeldAlert, ...]
    front_door: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    request: Annotated[str, StringConstraints(max_length=200)] = ""
    clears: tuple[str, ...] = ()


class LookAgain(Payload):
    """Is something still keeping what this incident holds? `request` names the look, should it be repeated."""

    incident: IncidentRef
    request: str


class HeldNow(Payload):
    """What an incident holds at the moment, by what it knows the alerts by."""

    alerts: dict[str, HeldAlert]


class Placement(Payload):
    """Of one alert that was held by `before`: kept still by `hold`, or told to the incident `moved_to`, or free."""

    before: Hold
    hold: Hold | None = None
    moved_to: str = ""
    severity: Severity = Field(description="by the catalog of the day")


class LookedAgain(Payload):
    """By what the incident knows the alerts by."""

    placements: dict[str, Placement] = Field(default_factory=dict)
