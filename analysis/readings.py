"""From two snapshots of counters to what the judge weighs."""

from analysis.evidence import Reading
from analysis.latency_evidence import slow_counts
from analysis.metrics import increase_of
from models.counters import Counters, MetricSnapshot
from models.ids import Group, Version, is_baseline


def both_since(
    before: MetricSnapshot | None,
    after: MetricSnapshot,
    candidate: Version,
    stable: Group | None,
    *,
    newly: tuple[Counters, Counters] | None = None,
) -> tuple[Counters, Counters] | None:
    """What both versions counted between two snapshots, candidate first; None where the later one lacks either.

    Then `before` is kept for the next: counters lose nothing, and both versions are seen over the same time. Else
    `analysis.metrics.merged` of the two is kept. A time in which the weight changed is to be cut there, or each
    version's share of it would be wrong. `newly` is what both counted, if that is known already.
    """
    if before is None or stable is None or candidate not in after.versions or stable not in after.versions:
        return None
    return newly or (
        increase_of(candidate, before, after),
        increase_of(stable, before, after, is_new=is_baseline(stable)),
    )


def error_reading(seconds: float, candidate: Counters, stable: Counters) -> Reading:
    return Reading(seconds, candidate.requests, candidate.errors, stable.requests, stable.errors)


def slow_reading(seconds: float, candidate: Counters, stable: Counters, bound_ms: float | None) -> Reading:
    """Requests above the bound as the bad ones; nothing is known of a version whose histogram lacks the bound."""
    one = slow_counts(candidate.latency, bound_ms) or (None, None)
    other = slow_counts(stable.latency, bound_ms) or (None, None)
    return Reading(seconds, *one, *other)
