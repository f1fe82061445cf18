"""Arithmetic on counters: increases across restarts, sums, quantiles of histograms."""

from collections.abc import Sequence
from operator import sub

from models.counters import Counters, LatencyHistogram, MetricSnapshot
from models.ids import Group

MOST_PARTS_KEPT = 400
"""Of one version, those included that have gone: instances come and go for as long as a watch lasts, and what is kept
travels with every heartbeat."""


def increase(before: Counters | None, after: Counters | None) -> Counters:
    """What was counted between two readings of one version.

    Counters that went down, or a histogram of another shape, began anew in between: then all of `after` is new.
    """
    if after is None:
        return Counters()
    if before is None or after.requests < before.requests or after.errors < before.errors:
        return after
    latency = _latency_increase(before.latency, after.latency)
    if latency is None:
        return after
    return Counters(requests=after.requests - before.requests, errors=after.errors - before.errors, latency=latency)


def increase_of(version: Group, before: MetricSnapshot, after: MetricSnapshot, *, is_new: bool = True) -> Counters:
    """What a version counted between two snapshots; by instance or series where both know them.

    So an instance that begins anew is told from the others, whose sum goes on. Of a version that `is_new` a part that
    was not there before counts whole, as does the version. Of another it may have counted for weeks: then what appears
    counts from now on, unless it has no requests, as a series of errors begins with the first one. A part that is not
    there any more counts nothing. For `before`, use what `merged` keeps: without, a part that was missing once would
    count whole when it is back.
    """
    earlier, later = before.parts.get(version), after.parts.get(version)
    if earlier is None or later is None:
        whole = before.versions.get(version)
        return increase(whole, after.versions.get(version)) if whole or is_new else Counters()
    appeared = {key for key in later if key not in earlier}
    if is_new or not any(later[key].requests for key in appeared):
        appeared = set()
    return Counters.total(increase(earlier.get(key), later[key]) for key in later if key not in appeared)


def merged(before: MetricSnapshot | None, after: MetricSnapshot) -> MetricSnapshot:
    """What to keep as the last snapshot: `after`, and from `before` the versions and parts that it lacks."""
    if before is None:
        return after
    parts = {
        version: _kept(before.parts.get(version, {}), after.parts.get(version, {}))
        for version in (*before.parts, *(version for version in after.parts if version not in before.parts))
    }
    return after.model_copy(update={"versions": {**before.versions, **after.versions}, "parts": parts})


def add(*counts: Counters) -> Counters:
    """The sum of several. Where histograms differ in shape, the last one with counts is kept."""
    return Counters(
        requests=sum(each.requests for each in counts),
        errors=sum(each.errors for each in counts),
        latency=_add_histograms([each.latency for each in counts if each.latency.counts]),
    )


def quantile_ms(histogram: LatencyHistogram, q: float) -> float | None:
    """The q-quantile in milliseconds, interpolated within its bucket; None without observations.

    As Prometheus' `histogram_quantile`: what lies above the last bound is reported as the last bound.
    """
    total = sum(histogram.counts)
    if total == 0 or not histogram.bounds_ms:
        return None
    rank, seen, lower = q * total, 0, 0.0
    for bound, count in zip(histogram.bounds_ms, histogram.counts, strict=False):
        if count and seen + count >= rank:
            return lower + (bound - lower) * max(0.0, rank - seen) / count
        seen, lower = seen + count, bound
    return histogram.bounds_ms[-1]


def _kept(before: dict[str, Counters], after: dict[str, Counters]) -> dict[str, Counters]:
    """Of the parts that have gone those are forgotten first that would count least if they came back."""
    gone = sorted((key for key in before if key not in after), key=lambda key: (-_size(before[key]), key))
    return {**{key: before[key] for key in gone[: max(0, MOST_PARTS_KEPT - len(after))]}, **after}


def _size(counters: Counters) -> int:
    return counters.requests + counters.errors + sum(counters.latency.counts)


def _latency_increase(before: LatencyHistogram, after: LatencyHistogram) -> LatencyHistogram | None:
    """None where it began anew in between."""
    if not before.counts:
        return after
    if before.bounds_ms != after.bounds_ms or len(before.counts) != len(after.counts):
        return None
    counts = tuple(map(sub, after.counts, before.counts))
    return None if min(counts) < 0 else LatencyHistogram(bounds_ms=after.bounds_ms, counts=counts)


def _add_histograms(counted: Sequence[LatencyHistogram]) -> LatencyHistogram:
    if len(counted) <= 1:
        return counted[0] if counted else LatencyHistogram()
    last = counted[-1]
    alike = [each for each in counted if each.bounds_ms == last.bounds_ms and len(each.counts) == len(last.counts)]
    columns = zip(*(each.counts for each in alike), strict=True)
    return LatencyHistogram(bounds_ms=last.bounds_ms, counts=tuple(map(sum, columns)))
