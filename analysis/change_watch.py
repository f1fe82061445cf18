"""Did a version's rate rise above its own past? Of one that was promoted, or of the stable one beside a canary.

An e-detector of the Shiryaev-Roberts kind (Shin, Ramdas, Rinaldo, arXiv 2203.03532): each minute a new bet of 1 is
made that the rate rises from then on, and all of them together are never expected to be worth more than the minutes
that passed while nothing changed. So an alarm at a worth of so many minutes comes no more often than that on average.
There is no other version to compare with: what the rate does over a day by itself must be in the noise, which
`learn_alone` takes from a past of at least a day.
"""

import math
from collections.abc import Sequence
from datetime import timedelta

from analysis.bets import LEAST, bounded, log_add, log_sum
from analysis.dispersion import Pair, learn
from analysis.evidence import tempering
from models.evidence import UNKNOWN, Change, ChangeSpec, Comparison, Noise
from models.quantities import format_duration

RATIOS = ((1.3, 0.25), (1.8, 0.25), (3.0, 0.25), (6.0, 0.15), (20.0, 0.1))
"""Ratios beyond 1 + margin, each with its share of every minute's bet."""
RECENT_MINUTES = 10.0
STEADY = 1000.0
MOST_COUNTED = 1e15
FEWEST_REQUESTS = 100.0
"""Of a rollout, before it tells anything of what is usual."""
DEVIATIONS = 3.0
"""How far above what was counted the usual number of bad requests may lie."""


def learn_alone(history: Sequence[tuple[float, float]]) -> Noise:
    """How much a version's rate wanders from minute to minute; requests and bad ones of each minute."""
    requests = math.fsum(n for n, _ in history if 0 < n < MOST_COUNTED)
    bad = math.fsum(x for n, x in history if 0 < n < MOST_COUNTED and 0 <= x <= n)
    if requests <= 0:
        return Noise()
    rate = bad / requests
    return learn([Pair(n, x, STEADY * n, STEADY * n * rate) for n, x in history])


def usual_after(comparison: Comparison, negligible: float, noise: Noise = UNKNOWN) -> Noise | None:
    """What is usual for a version that was promoted, by what it and the stable one did during the rollout.

    The most that it may reasonably be: the few requests of a rollout do not show how rare bad ones really are, and a
    rate that is taken for lower than it is would raise alarms without end. None where next to nothing was seen.
    `noise` is that of two groups beside each other: what befalls both alike does not show in it, and shows to a watch
    that has nothing to compare with, so that never less is taken than is assumed without any past.
    """
    seen = comparison.errors
    requests, bad = seen.candidate_requests + seen.stable_requests, seen.candidate_bad + seen.stable_bad
    if requests < FEWEST_REQUESTS:
        return None
    most = (bad + DEVIATIONS * math.sqrt(bad + 1) + 1) / requests
    return noise.model_copy(update={"own": max(noise.own, UNKNOWN.own), "rate": max(negligible, most)})


def alarm(change: Change, spec: ChangeSpec, usual: Noise, version: str) -> str | None:
    """Why a promoted version counts as turned bad; None while it does not."""
    if not is_changed(change, spec):
        return None
    rate = change.recent_bad / change.recent_requests if change.recent_requests > 0 else 0.0
    return (
        f"{version} turned bad: {rate:.2%} of its requests fail of late, up to {usual.rate:.2%} is usual; "
        f"by chance alone this is said once in {format_duration(spec.alarm_every)}"
    )


def observe(
    change: Change, seconds: float, requests: float | None, bad: float | None, spec: ChangeSpec, usual: Noise
) -> Change:
    """The watch after one more reading. Without a usual rate, or with a reading that makes no sense, as before."""
    if requests is None or bad is None or not all(0 <= value < MOST_COUNTED for value in (seconds, requests, bad)):
        return change
    rate = min(0.5, usual.rate * (1 + spec.margin))
    if requests <= 0 or seconds <= 0 or rate <= 0:
        return change
    bad = min(bad, requests)
    minutes = change.minutes + seconds / 60
    fading = math.exp(-seconds / 60 / RECENT_MINUTES)
    recent = change.recent_requests * fading + requests
    covered = min(minutes, RECENT_MINUTES)
    information = rate * recent / covered if covered > 0 else 0.0
    starts = math.floor(minutes) + 1.0
    fresh = math.log(starts - change.starts) if starts > change.starts else None
    sums = []
    for log, (step, share) in zip(change.sums or (LEAST,) * len(RATIOS), RATIOS, strict=True):
        staked = log if fresh is None else log_add(log, math.log(share) + fresh)
        higher = min(1 - (1 - rate) / 2, rate * step)
        gain = bad * math.log(higher / rate) + (requests - bad) * math.log((1 - higher) / (1 - rate))
        sums.append(bounded(staked + tempering(information, usual, math.log(step)) * gain))
    return Change(
        sums=tuple(sums),
        starts=max(starts, change.starts),
        minutes=minutes,
        recent_requests=recent,
        recent_bad=change.recent_bad * fading + bad,
    )


def is_changed(change: Change, spec: ChangeSpec) -> bool:
    return bool(change.sums) and log_sum(change.sums) >= math.log(max(1.0, spec.alarm_every / timedelta(minutes=1)))
