"""What the keeper's ledger holds."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from models.base import Payload
from models.ids import ServiceRef
from models.keeper import HostTime, LeaseKey, LeaseStanding, LeaseState
from models.traffic import Backend, TrafficSpec, TrafficSplit


class ReturnTraffic(Payload):
    """Put this split in force and keep it so. `backends` are where its versions answered when it was written down."""

    kind: Literal["return_traffic"] = "return_traffic"
    ref: ServiceRef
    spec: TrafficSpec
    split: TrafficSplit
    backends: tuple[Backend, ...]

    def __str__(self) -> str:
        return f"return the traffic of {self.ref} to {self.split.stable}"


Undo = Annotated[ReturnTraffic, Field()]
"""Told apart by `kind`."""


class Lease(LeaseKey):
    """A lease to be armed: what is undone when nobody renews it."""

    undo: Undo

    def name(self) -> LeaseKey:
        """The part by which it is renewed and settled."""
        return LeaseKey(key=self.key, holder=self.holder, epoch=self.epoch, duration=self.duration)


class LeaseRecord(Payload):
    """One file of the ledger: the lease that a key has now, or had last.

    Once `lapsed_at` is set the undo is carried out and stays in force until the holder settles or arms a later epoch;
    once `settled_at` is set nothing is done any more, and the record only tells late calls that they are late.
    `lapsed_before` is when the epoch before it, of the same run, had lapsed. `former_runs` held the key before and do
    not get it back.
    """

    lease: LeaseKey
    undo: Undo | None = Field(description="none when it was settled before it was ever armed")
    deadline: HostTime
    armed_at: datetime
    lapsed_at: datetime | None = None
    carried_out_at: datetime | None = None
    settled_at: datetime | None = None
    lapsed_before: datetime | None = None
    former_runs: tuple[str, ...] = ()

    def standing(self) -> LeaseStanding:
        """What its own holder is answered."""
        if self.lapsed_at:
            return LeaseStanding(
                state=LeaseState.CARRIED_OUT, lapsed_at=self.lapsed_at, carried_out_at=self.carried_out_at
            )
        return LeaseStanding(state=LeaseState.GONE if self.settled_at else LeaseState.HELD)
