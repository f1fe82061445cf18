"""Leases: what is done to the world for as long as somebody renews it, and undone by the keeper otherwise.

What the ledger keeps of one is in `models/keeper_ledger.py`.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from models.base import Payload
from models.quantities import Duration

LEASE_LAPSED = "LeaseLapsed"
"""Type of the ApplicationError that says: nobody renewed the lease in time, so the keeper carried its undo out."""

LEASE_LOST = "LeaseLost"
"""Type of the ApplicationError that says: this lease is not in the ledger any more; somebody else holds the key, or
the ledger was cleared or damaged."""

RENEWALS_PER_DURATION = 6
"""How often what renews a lease does so, in the time that one renewal lasts."""

Key = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9._+/-]{0,250}$", description="like weight/local/shop")]


class Holder(Payload):
    """The run of a workflow. One workflow id has one open run, so a later run of it may take over from an earlier."""

    workflow_id: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.workflow_id}, run {self.run_id}"


class LeaseKey(Payload):
    """Which lease, whose, and how long it lasts from each renewal.

    `epoch` rises within a run with everything newly armed, so that a late call of an earlier step is told apart.
    """

    key: Key
    holder: Holder
    epoch: int = Field(ge=1)
    duration: Duration = timedelta(seconds=30)


class LeaseState(StrEnum):
    """What became of a lease, seen from the one who asks."""

    HELD = "held"
    CARRIED_OUT = "carried_out"
    GONE = "gone"
    OTHERS = "others"


class LeaseStanding(Payload):
    """What the ledger answers. Times are the host's wall clock, for people to read.

    HELD: in force, at least until `lapses_at`; armed anew it says if the one before it, of the same run, was lost, as
    `lapsed_before`. CARRIED_OUT: nobody renewed it in time; the keeper took the undo in
    hand at `lapsed_at`, and `carried_out_at` is when it was in force, none while it is still being tried. GONE: it was
    settled, or never armed. OTHERS: the key is `held_by` another run, or by a later step of this one.
    """

    state: LeaseState
    lapses_at: datetime | None = None
    lapsed_at: datetime | None = None
    carried_out_at: datetime | None = None
    lapsed_before: datetime | None = None
    held_by: Holder | None = None


class HostTime(Payload):
    """A moment that no change of the wall clock moves: seconds since a boot of the host, suspended time included.

    Moments of different boots cannot be compared.
    """

    boot: str
    seconds: float

    def later(self, by: timedelta) -> "HostTime":
        return HostTime(boot=self.boot, seconds=self.seconds + by.total_seconds())
