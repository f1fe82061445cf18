"""From the numbers that a metric source gives to counters: what is none is said, never guessed."""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from models.counters import LatencyHistogram
from models.metric_sources import LatencyUnit

LARGEST = 10**15

T = TypeVar("T")


class NotACountError(ValueError):
    """Says what was found, to follow `which is`."""


def count(value: float) -> int:
    """Raises NotACountError for what no counter shows."""
    if not math.isfinite(value):
        raise NotACountError(f"{value:g}, not a number of requests")
    if value < 0:
        raise NotACountError(f"{value:g}, below zero")
    if value != int(value):
        raise NotACountError(f"{value:g}, not a whole number: it must be a counter, not a rate or an average")
    if value > LARGEST:
        raise NotACountError(f"{value:g}, more than can be counted")
    return int(value)


def histogram(bounds: Sequence[Decimal | float], counts: Sequence[float], unit: LatencyUnit) -> LatencyHistogram:
    """Of bounds, and of counts between them: one more than there are bounds. Raises NotACountError."""
    factor = 1000 if unit == "seconds" else 1
    # By their decimal digits, as 1.1 seconds are 1100 ms and not 1100.0000000000002.
    bounds_ms = tuple(float(Decimal(str(bound)) * factor) for bound in bounds)
    if len(counts) != len(bounds) + 1:
        raise NotACountError(f"{len(counts)} counts for {len(bounds)} bounds; one more is needed")
    if not all(math.isfinite(bound) for bound in bounds_ms):
        raise NotACountError("a histogram with a bound that is no number")
    if any(low >= high for low, high in pairwise((0.0, *bounds_ms))):
        raise NotACountError("a histogram whose bounds do not rise from above zero")
    return LatencyHistogram(bounds_ms=bounds_ms, counts=tuple(count(each) for each in counts))


async def all_of(reads: Iterable[Awaitable[T]]) -> list[T]:
    """What several reads at once give. Raises the first error, once all have ended."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    found = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
