"""A service's own figures over a window, out of the counters of the versions that have its traffic."""

from collections.abc import Sequence
from datetime import timedelta

from analysis.metrics import add, increase_of, merged, quantile_ms
from models.alert_expression import Figure
from models.alert_rules import Counted, RuleSet, RuleStanding
from models.counters import Counters, MetricSnapshot

_LATE = 2.5
"""Intervals between two looks: what was counted in a longer time says nothing of a window."""


def looked(rules: RuleSet, standing: RuleStanding, snapshot: MetricSnapshot, interval: timedelta) -> RuleStanding:
    """With one more reading. What was counted between looks too far apart is left out."""
    last = standing.last
    kept = merged(last, snapshot)
    kept = kept.model_copy(
        update={
            "versions": {version: each for version, each in kept.versions.items() if version in snapshot.versions},
            "parts": {version: each for version, each in kept.parts.items() if version in snapshot.versions},
            "left_out": (),
        }
    )
    counted = tuple(each for each in standing.counted if each.at > snapshot.taken_at - rules.window)
    if last is not None and timedelta(0) < snapshot.taken_at - last.taken_at <= max(_LATE * interval, rules.window):
        seconds = (snapshot.taken_at - last.taken_at).total_seconds()
        new = add(*(increase_of(version, last, snapshot, is_new=False) for version in snapshot.versions))
        counted = (*counted, Counted(at=snapshot.taken_at, seconds=seconds, counters=new))
    return standing.model_copy(update={"last": kept, "counted": counted})


def figure_of(figure: Figure, counted: Sequence[Counted], min_requests: int = 1) -> float | None:
    """A ratio, requests per second, or seconds; None where nothing can be said.

    Without requests there is neither an error rate nor a response time.
    """
    if not counted:
        return None
    total: Counters = add(*(each.counters for each in counted))
    if figure is Figure.REQUEST_RATE:
        seconds = sum(each.seconds for each in counted)
        return total.requests / seconds if seconds > 0 else None
    if total.requests < min_requests:
        return None
    if figure is Figure.ERROR_RATE:
        return min(1.0, total.errors / total.requests)
    if figure.quantile is None:
        return None
    milliseconds = quantile_ms(total.latency, figure.quantile)
    return None if milliseconds is None else milliseconds / 1000
