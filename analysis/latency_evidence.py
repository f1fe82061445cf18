"""Slow requests as counts: how many took longer than a bound of the histogram, which is fixed before they are seen.

A shift of a quantile shows as a share above a bound near it, and shares are weighed as failures are. The bound comes
from the past of the stable version; chosen by what is judged, it would favour one side.
"""

import math
from functools import lru_cache
from itertools import pairwise

from models.counters import LatencyHistogram


def slow_bound(past: LatencyHistogram, quantile: float) -> float | None:
    """The bound in milliseconds whose share above is nearest to that above the quantile, as a ratio.

    None where there is no bound that some requests were above and some not.
    """
    if not _sound(past) or not 0 < quantile < 1:
        return None
    total = math.fsum(past.counts)
    best: tuple[float, float] | None = None
    below = 0.0
    for bound, count in zip(past.bounds_ms, past.counts, strict=False):
        below += count
        if 0 < below < total:
            away = abs(math.log((total - below) / total / (1 - quantile)))
            best = min(best or (away, bound), (away, bound))
    return best[1] if best else None


def slow_counts(histogram: LatencyHistogram, bound_ms: float | None) -> tuple[float, float] | None:
    """All requests, and those above the bound. None where the histogram lacks the bound or makes no sense."""
    if bound_ms is None or not _sound(histogram) or bound_ms not in histogram.bounds_ms:
        return None
    above = histogram.counts[histogram.bounds_ms.index(bound_ms) + 1 :]
    return float(sum(histogram.counts)), float(sum(above))


def _sound(histogram: LatencyHistogram) -> bool:
    bounds, counts = histogram.bounds_ms, histogram.counts
    return len(counts) == len(bounds) + 1 and min(counts) >= 0 and _rising(bounds)


@lru_cache(maxsize=64)
def _rising(bounds: tuple[float, ...]) -> bool:
    """Remembered, as a source's bounds hardly ever change and are looked at with every reading."""
    return all(math.isfinite(bound) for bound in bounds) and all(low < high for low, high in pairwise(bounds))
