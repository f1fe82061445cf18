"""What metric sources count of each version."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from typing import NamedTuple

from pydantic import Field

from models.base import Payload
from models.ids import Group


class LatencyHistogram(Payload):
    """Counts of requests per bucket; bucket i holds those up to `bounds_ms[i]`, the last one everything above."""

    bounds_ms: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def total(cls, each: Iterable["LatencyHistogram"]) -> "LatencyHistogram":
        """The requests of several, by the bounds that all of them have; in whatever order they come."""
        counted = [one for one in each if one.counts and len(one.counts) == len(one.bounds_ms) + 1]
        if not counted:
            return cls()
        common = tuple(sorted(set.intersection(*(set(one.bounds_ms) for one in counted))))
        columns = zip(*(one.within(common) for one in counted), strict=True)
        return cls(bounds_ms=common, counts=tuple(sum(column) for column in columns))

    def within(self, bounds: Sequence[float]) -> tuple[int, ...]:
        """The same requests by fewer bounds."""
        up_to = list(accumulate(self.counts))
        kept = [up_to[self.bounds_ms.index(bound)] for bound in bounds]
        return tuple(later - earlier for earlier, later in pairwise([0, *kept, up_to[-1]]))


class Counters(Payload):
    """What one version has answered since its counters began."""

    requests: int = 0
    errors: int = 0
    latency: LatencyHistogram = LatencyHistogram()

    @classmethod
    def total(cls, parts: Iterable["Counters"]) -> "Counters":
        each = tuple(parts)
        return cls(
            requests=sum(one.requests for one in each),
            errors=sum(one.errors for one in each),
            latency=LatencyHistogram.total(one.latency for one in each),
        )


class MetricSnapshot(Payload):
    """Cumulative counters per version at one moment. A version that was never routed is absent."""

    taken_at: datetime
    versions: dict[Group, Counters] = Field(default_factory=dict)
    parts: dict[Group, dict[str, Counters]] = Field(
        default_factory=dict, description="the same by instance or series, where the source knows"
    )
    left_out: tuple[str, ...] = Field(
        default=(), description="sentences about what the source gave that are no counters, and so not in here"
    )


class CounterPoint(NamedTuple):
    """The counters of one instance at a moment, in seconds since the epoch. No errors are known before the first."""

    at: float
    requests: float
    errors: float | None
