"""Who receives how much of a service's traffic."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.base import Payload, Written
from models.fence import Fence
from models.ids import Group, ServiceRef, Version, baseline_of
from models.keeper import LeaseKey, LeaseStanding
from models.quantities import Duration, HostPort, Percent


class EnvoyTraffic(Written):
    """Traffic reaches the service through Envoy, which splits it between versions by weight."""

    provider: Literal["envoy"] = "envoy"
    listen: HostPort = Field(description="where Envoy accepts the service's traffic")
    timeout: Duration = Field(default=timedelta(seconds=15), description="how long Envoy waits for a response")


TrafficSpec = Annotated[EnvoyTraffic, Field()]

_ALL = 100.0 + 1e-9
"""Shares are binary fractions, whose sum may miss by a little."""


class TrafficSplit(Payload):
    """`stable` receives what `candidate` and baseline do not. Without a candidate, stable receives all."""

    stable: Version
    candidate: Version | None = None
    weight: Percent = Field(default=0.0, description="the candidate's share")
    baseline: Percent | None = Field(
        default=None, description="the share of fresh instances of `stable` beside the candidate; none: there are none"
    )

    @model_validator(mode="after")
    def _weight_needs_candidate(self) -> "TrafficSplit":
        if self.candidate is None and self.weight > 0:
            raise ValueError("a weight needs a candidate to send it to")
        return self

    @model_validator(mode="after")
    def _baseline_fits_beside_candidate(self) -> "TrafficSplit":
        if self.baseline is not None and self.candidate is None:
            raise ValueError("a baseline is for a candidate to be compared with, and there is none")
        if self.weight + (self.baseline or 0.0) > _ALL:
            raise ValueError("candidate and baseline together have more than all of the traffic")
        return self

    def weights(self) -> dict[Group, float]:
        """Share per group, in percent; candidate and baseline stay listed at 0 so that their metrics go on."""
        if self.candidate is None:
            return {self.stable: 100.0}
        if self.baseline is None:
            return {self.stable: 100.0 - self.weight, self.candidate: self.weight}
        return {
            self.stable: max(0.0, 100.0 - self.weight - self.baseline),
            baseline_of(self.stable): self.baseline,
            self.candidate: self.weight,
        }


class Backend(Payload):
    """The addresses at which one version, or its baseline, answers."""

    version: Group
    addresses: tuple[HostPort, ...]


class SetTraffic(Payload):
    """Ask for a split to be in force. Every version of the split has a backend; others are forgotten.

    With `lease` the split is in force only as long as that lease is renewed: it is armed first, and when it lapses all
    traffic returns to `split.stable`. `settle_first` is for a split that the keeper would take back: its lease is
    settled, then the split put in force, and not at all if the lease had lapsed. `settle_after` is for the way back:
    its lease is settled once the split is in force, whatever became of it.
    """

    ref: ServiceRef
    spec: TrafficSpec
    split: TrafficSplit
    backends: tuple[Backend, ...]
    lease: LeaseKey | None = None
    settle_first: LeaseKey | None = None
    settle_after: LeaseKey | None = None

    @property
    def fence(self) -> Fence | None:
        """By the lease that it arms or settles: each has a number of its own."""
        key = self.lease or self.settle_first or self.settle_after
        return Fence(run_id=key.holder.run_id, number=key.epoch) if key else None

    @model_validator(mode="after")
    def _lease_needs_candidate(self) -> "SetTraffic":
        if self.lease and self.split.candidate is None:
            raise ValueError("a lease is for a candidate's weight; stable alone keeps its traffic without one")
        return self


class TrafficSet(Payload):
    """The split is in force. `settled` says what had become of the lease that was settled with it.

    `lapsed_before` is a sentence when the lease before the one that was armed, of the same run, had lapsed by then.
    """

    settled: LeaseStanding | None = None
    lapsed_before: str = ""


class ReadTraffic(Payload):
    ref: ServiceRef
    spec: TrafficSpec


class RemoveTraffic(Payload):
    """Ask for the service not to be routed at all: what undoes a first deployment."""

    ref: ServiceRef
    spec: TrafficSpec


class CurrentTraffic(Payload):
    """The split that is in force, or none when nothing was ever deployed."""

    split: TrafficSplit | None = None
