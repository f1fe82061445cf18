"""Equals out of what was counted: the instances of one version beside each other, and rollouts that were well."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median

from analysis.dispersion import Pair
from analysis.equals import Minute, Period
from models.catalog import BlueGreenPlan, CanaryPlan, RollingPlan, Service
from models.counters import CounterPoint
from models.evidence_trail import TrailSample
from models.ids import Version
from models.record import RolloutRecord
from models.rollout import PastRollout, Phase

STEP_SECONDS = 60.0
"""Between two points of an instance's past; a longer one is a gap, of which nobody knows when it was counted."""
MOST_GROUPS = 10
"""Of one version: more would tell little more, as each is beside the rest, and take longer."""

_LATE = 1.5
_MIRRORED = 2

Counted = tuple[float, float]
"""Requests and bad ones."""


def of_instances(version: Version, instances: Mapping[str, Sequence[CounterPoint]], share: float) -> list[Period]:
    """Groups of about this share of a version's instances, each beside all others of the same minute.

    Two halves of a whole are one group: what one of them does is told by the other.
    """
    counted = {name: dict(increases(points)) for name, points in instances.items()}
    counted = {name: minutes for name, minutes in counted.items() if minutes}
    present: dict[float, list[str]] = {}
    for name, minutes in counted.items():
        for at in minutes:
            present.setdefault(at, []).append(name)
    if not present:
        return []
    at_once = round(median(len(names) for names in present.values()))
    size = max(1, min(at_once // 2, round(at_once * share)))
    totals = {at: _sum(counted[name][at] for name in names) for at, names in present.items()}
    # Those that ran at the same time stand beside each other.
    order = sorted(counted, key=lambda name: (min(counted[name]), name))
    groups = [order[first : first + size] for first in range(0, len(order) - size + 1, size)]
    if len(groups) == _MIRRORED and len(order) == _MIRRORED * size:
        groups = groups[:1]
    periods = [_beside(version, group, counted, totals) for group in _some(groups)]
    return [period for period in periods if period.minutes]


def increases(points: Iterable[CounterPoint]) -> list[tuple[float, Counted]]:
    """What one instance counted between each point and the next, at the time of the first of the two.

    A counter that is lower than before has begun anew. A series of errors begins with the first of them.
    """
    found = []
    for before, after in pairwise(sorted(points)):
        if after.at - before.at > _LATE * STEP_SECONDS:
            continue
        begun = after.requests < before.requests
        requests = after.requests - (0.0 if begun else before.requests)
        errors, known = after.errors or 0.0, 0.0 if begun else before.errors or 0.0
        bad = errors - known if errors >= known else errors
        found.append((before.at, (requests, min(bad, requests))))
    return found


def of_trail(name: str, samples: Iterable[TrailSample]) -> Period:
    """A rollout's candidate beside its stable version, as its watches saw them."""
    minutes: dict[int, list[float]] = {}
    for sample in samples:
        one, other = sample.of_candidate, sample.of_stable
        if one.requests is None or one.bad is None or other.requests is None or other.bad is None:
            continue
        counted = (one.requests, min(one.bad, one.requests), other.requests, min(other.bad, other.requests))
        parts = max(1, math.ceil(sample.seconds / STEP_SECONDS))
        for part in range(parts):
            at = math.floor((sample.at.timestamp() - sample.seconds * part / parts) / STEP_SECONDS)
            sums = minutes.setdefault(at, [0.0] * len(counted))
            for column, value in enumerate(counted):
                sums[column] += value / parts
    both = {at: Pair(*sums) for at, sums in minutes.items() if sums[0] > 0 and sums[2] > 0}
    return Period(name, tuple(Minute(at * STEP_SECONDS, both[at]) for at in sorted(both)))


def stayed(rollouts: Sequence[RolloutRecord]) -> list[RolloutRecord]:
    """Of rollouts, the newest first: those whose version was promoted, without a way back to the old one. Neither is
    that way back one of them: whoever went it took one of the two for worse.
    """
    found = []
    for newer, each, older in zip((None, *rollouts), rollouts, (*rollouts[1:], None), strict=False):
        left = newer is not None and newer.version == each.stable_before
        came_back = older is not None and older.stable_before == each.version
        well = each.phase is Phase.PROMOTED and each.stable_before not in {None, each.version}
        if well and not left and not came_back:
            found.append(each)
    return found


def versions_since(past: Sequence[PastRollout], since: datetime) -> list[Version]:
    """Every version that served since then, the newest first; `past` is in that order, too."""
    found: list[Version] = []
    for rollout in past:
        if rollout.phase not in {Phase.PROMOTED, Phase.KEEPING}:
            continue
        if rollout.version not in found:
            found.append(rollout.version)
        if (rollout.ended_at or rollout.started_at) <= since:
            break
    return found


def usual_share(service: Service) -> float:
    """Of all traffic, what a candidate has while it is young."""
    match service.rollout:
        case CanaryPlan(steps=steps):
            return steps[0].weight / 100
        case RollingPlan(batch=batch):
            return min(1.0, batch / service.deploy.instances)
        case BlueGreenPlan():
            return 0.5  # never compared: what is learnt is how its version wanders after promotion


def _beside(
    version: Version,
    group: Sequence[str],
    counted: Mapping[str, Mapping[float, Counted]],
    totals: Mapping[float, Counted],
) -> Period:
    minutes = []
    for at in sorted(set.intersection(*(set(counted[name]) for name in group))):
        n, x = _sum(counted[name][at] for name in group)
        m, y = totals[at][0] - n, totals[at][1] - x
        if n > 0 and m > 0:
            minutes.append(Minute(at, Pair(n, x, m, max(0.0, y))))
    return Period(f"{version}: {' and '.join(group)} beside the others", tuple(minutes))


def _some(groups: Sequence[list[str]]) -> list[list[str]]:
    """At most so many, spread over all."""
    if len(groups) <= MOST_GROUPS:
        return list(groups)
    return [groups[index * len(groups) // MOST_GROUPS] for index in range(MOST_GROUPS)]


def _sum(each: Iterable[Counted]) -> Counted:
    pairs = list(each)
    return math.fsum(n for n, _ in pairs), math.fsum(x for _, x in pairs)
