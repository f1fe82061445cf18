"""Is the candidate worse than the stable version? Evidence that may be looked at every second.

Each alternative ("it fails r times as often") is a bet against "it fails at most b times as often" (b = 1 + delta).
Of a reading with n candidate and m stable requests it expects the share q = rn / (rn + m) of all failures on the
candidate's side, the claim the share p = bn / (bn + m), so a failure of the candidate multiplies the bet by q/p, one
of the stable version by (1-q)/(1-p). Whatever the rates are, rare or not: with the candidate's rate f and the
stable's g, a request multiplies the bet in the mean by 1 + f(q/p - 1) <= exp(f(q - p)/p), and by
1 - g(q - p)/(1 - p) <= exp(-g(q - p)/(1 - p)) on the other side; over the reading that is at most
exp((q - p)(bn + m)(f/b - g)), no more than 1 while f <= bg. So the bet is a supermartingale, and by Ville's inequality
it ever reaches 1/alpha with a probability of at most alpha, however often one looks. Traffic and rates may change with
every reading. A bet raised to a power w between 0 and 1 stays one (x^w lies below its chord): that is how it is
tempered where a group's rate wanders by itself, see `analysis.dispersion`; where more is known of that, it is followed,
see `analysis.wandering`.

The money is spread over ratios, and over the minutes in which a version may have turned bad. See Lindon & Malek
(arXiv 2011.03567) and Lindon, Sanden, Shirikian (arXiv 2205.14762) for sequential tests of counts.
"""

import math
from typing import NamedTuple

from analysis.bets import LEAST, bounded, log_add, log_sum
from analysis.wandering import waited, wanders, weighed
from models.evidence import Evidence, EvidenceSpec, Noise, Pooled

WORSE = ((1.15, 0.06), (1.4, 0.28), (2.0, 0.16), (4.0, 0.38), (10.0, 0.08), (60.0, 0.04))
"""Ratios beyond 1 + delta, each with its share of the money."""

WORSE_WHERE_IT_WANDERS = ((1.2, 0.02), (1.55, 0.47), (2.4, 0.42), (5.0, 0.06), (15.0, 0.02), (60.0, 0.01))
"""The same where groups wander by themselves: large ratios are found soon all the same, small ones need the money."""

FINE = ((0.85, 0.15), (0.7, 0.35), (0.5, 0.25), (0.3, 0.15), (0.1, 0.1))
"""The same below 1 + tolerance: the bets against "worse than that"."""

LOW = ((0.5, 0.3), (0.25, 0.3), (0.1, 0.2), (0.01, 0.2))
"""The same below the negligible rate: the bets against "not negligible"."""

AT_ONCE, AT_ONCE_WHERE_IT_WANDERS = 0.6, 0.9
"""Of the money, what is bet on a version that is bad from the beginning; the rest on one that turns bad."""
SPREAD_MINUTES = 30.0
"""In so many minutes half of the rest has been bet."""

POOLED_REQUESTS = 10.0
"""Requests of either version that are weighed together at least."""
RECENT_MINUTES = 2.0
BURST_ALLOWANCE = 2.0
"""What one burst, as large as the largest that was seen among equals, may add to a logarithm."""
BURST_ROOM, ROOM_MINUTES = 2.0, 0.5
"""By how much a bet may rise at once where bursts are known, and in how many minutes by as much again."""
BURST_COST = 2.5
"""How much a burst is reckoned to raise a bet, with what it adds beyond the room at once."""
POOLED_MINUTES = 0.5
"""Time that is weighed together at least where departures are followed: they change from minute to minute."""
APART_MINUTES, MOST_APART_MINUTES = 4.0, 8.0
"""Time with one version alone that is weighed together at least, and at most kept until the other is seen."""
APART_ROOM = 3.0
"""What such a pool may add to a bet: readings may be missing because of what happened then, so one pool alone never
decides. Less would cut what chance adds to a version that is worse, of which a handful of failures tell."""
APART_VARIANCE = 0.01
"""By how much the logarithm of a service's rate may differ between such moments, squared."""
ASSUMED_RATE, ASSUMED_REQUESTS = 0.001, 1000.0
LEAST_COUNTED, MOST_COUNTED = 1e-6, 1e15

Counts = tuple[float, float, float, float]
"""Requests and bad ones of the candidate, then of the stable version."""


class Reading(NamedTuple):
    """What was counted since the reading before. None: nothing is known. Anything else that a source may say, too."""

    seconds: float
    candidate_requests: float | None
    candidate_bad: float | None
    stable_requests: float | None
    stable_bad: float | None


def update(evidence: Evidence, reading: Reading, spec: EvidenceSpec, noise: Noise) -> Evidence:
    """Evidence after one more reading. A reading that makes no sense changes nothing but `unusable`."""
    minutes = reading.seconds / 60 if _usable(reading.seconds) else 0.0
    candidate = _side(reading.candidate_requests, reading.candidate_bad)
    stable = _side(reading.stable_requests, reading.stable_bad)
    if minutes <= 0 or (candidate is None and stable is None):
        return evidence.model_copy(update={"unusable": evidence.unusable + 1})
    (n, x), (m, y) = candidate or (0.0, 0.0), stable or (0.0, 0.0)
    after = _counted(evidence, minutes, n, x, m, y)
    after = after.model_copy(update={"low": _low(after, n, x, spec, noise)})
    weigh = _weigh_apart if candidate is None or stable is None else _weigh
    return weigh(after, minutes, (n, x, m, y), spec, noise)


def log_worse(evidence: Evidence) -> float:
    """The logarithm of the evidence that the candidate is worse than 1 + delta times the stable version."""
    return log_sum(evidence.worse) if evidence.worse else math.log(AT_ONCE)


def log_fine(evidence: Evidence) -> float:
    """The logarithm of the evidence that it is under 1 + tolerance times as bad, or its rate negligible."""
    comparison = log_sum(evidence.fine) if evidence.fine else 0.0
    alone = log_sum(evidence.low) if evidence.low else 0.0
    return log_add(comparison, alone) - math.log(2)


def tempering(information: float, noise: Noise, log_ratio: float) -> float:
    """The power to which a bet is raised. `information`: expected failures a minute that tell the two apart.

    1 without noise of one group; as the inverse of the over-dispersion with it, and low enough that a burst of the
    largest size seen among equals adds no more than `BURST_ALLOWANCE`.
    """
    return 1 / (1 + information * (max(noise.own, noise.burst * abs(log_ratio) / BURST_ALLOWANCE)))


def expected_information(evidence: Evidence, noise: Noise) -> float:
    """Failures a minute that both versions are expected to have, as far as they tell the two apart.

    By the traffic of late and the rate of the past, never by the failures of the reading that is weighed: evidence
    weighed by itself would be biased.
    """
    if evidence.recent_minutes <= 0 or evidence.recent_candidate <= 0 or evidence.recent_stable <= 0:
        return 0.0
    both = evidence.recent_candidate + evidence.recent_stable
    apart = evidence.recent_candidate / both * evidence.recent_stable / evidence.recent_minutes
    known = noise.rate if noise.minutes > 0 else ASSUMED_RATE
    seen = (evidence.stable_bad + known * ASSUMED_REQUESTS) / (evidence.stable_requests + ASSUMED_REQUESTS)
    return apart * max(known, seen)


def requests_needed(evidence: Evidence, spec: EvidenceSpec, noise: Noise) -> float | None:
    """How many more requests of a candidate that is as good as the stable version would show that it is good enough.

    None: there is no telling, as nothing was seen of one of them, or the traffic is too little apart.
    """
    missing = math.log(1 / spec.beta) - log_fine(evidence)
    if missing <= 0:
        return 0.0
    n, m = evidence.candidate_requests, evidence.stable_requests
    if n <= 0 or m <= 0 or evidence.recent_minutes <= 0:
        return None
    rate = min(1.0, evidence.stable_bad / m)
    information = expected_information(evidence, noise)
    both = (1.0, rate, m / n, m / n * rate)
    gains = [_gain(both, 1 + spec.tolerance, step, noise, information) for step, _ in FINE]
    alone = spec.negligible * evidence.recent_candidate / evidence.recent_minutes
    gains += [_low_gain(1.0, rate, step, spec.negligible, alone, noise) for step, _ in LOW]
    best = max(gains)
    return missing / best if best > 0 else None


def spent(minutes: float, at_once: float = AT_ONCE) -> float:
    """The share of the money that is bet after so many minutes."""
    return at_once + (1 - at_once) * (1 - 1 / (1 + minutes / SPREAD_MINUTES))


def _weigh(after: Evidence, minutes: float, counts: Counts, spec: EvidenceSpec, noise: Noise) -> Evidence:
    """Pool a reading with those before it, and weigh them together once there are requests enough on both sides.

    When that is depends on requests and time alone. A reading of a second with a request here and none there would say
    nothing by itself, though a minute of them does.
    """
    pooled = _pool(after.pooled, minutes, counts)
    short = wanders(noise) and pooled.minutes < POOLED_MINUTES
    if short or pooled.candidate_requests < POOLED_REQUESTS or pooled.stable_requests < POOLED_REQUESTS:
        return after.model_copy(update={"pooled": pooled})
    information = expected_information(after, noise)
    departure = after.departure
    if wanders(noise):
        n, x, m, y = _counts(pooled)
        held = ((1 + spec.delta) * n, x, m, y)
        ratios = [math.log(step) for step, _ in WORSE_WHERE_IT_WANDERS]
        expected = information * pooled.minutes
        worse, departure = weighed(departure, pooled.minutes, held, ratios, noise, expected)
    else:
        worse = _gains(WORSE, 1 + spec.delta, pooled, _unlimited(noise), information)
    fine = _gains(FINE, 1 + spec.tolerance, pooled, noise, information)
    done = {"pooled": Pooled(), "departure": departure}
    return _bet(after, pooled.minutes, worse, fine, noise).model_copy(update=done)


def _weigh_apart(after: Evidence, minutes: float, counts: Counts, spec: EvidenceSpec, noise: Noise) -> Evidence:
    """Pool readings that have one version alone, and weigh them once both have been seen, if within a few minutes.

    They say less, as the service may have changed in between; and never much at once.
    """
    apart = _pool(after.apart, minutes, counts)
    after = after.model_copy(update={"departure": waited(after.departure, minutes)})
    seen = min(apart.candidate_requests, apart.stable_requests) >= POOLED_REQUESTS
    if apart.minutes < APART_MINUTES:
        return after.model_copy(update={"apart": apart})
    if not seen:
        return after.model_copy(update={"apart": apart if apart.minutes < MOST_APART_MINUTES else Pooled()})
    information = expected_information(after, noise)
    moved = _unlimited(noise).model_copy(update={"own": noise.own + APART_VARIANCE * apart.minutes})
    staked, _ = _staked(noise)
    bounds = ((staked, 1 + spec.delta), (FINE, 1 + spec.tolerance))
    worse, fine = (
        tuple(min(APART_ROOM, gain) for gain in _gains(steps, bound, apart, moved, information))
        for steps, bound in bounds
    )
    return _bet(after, apart.minutes, worse, fine, noise).model_copy(update={"apart": Pooled()})


def _bet(after: Evidence, minutes: float, worse: tuple[float, ...], fine: tuple[float, ...], noise: Noise) -> Evidence:
    """Evidence with what each bet gained in so many minutes, as far as bursts let it."""
    watched = after.minutes + minutes
    staked, at_once = _staked(noise)
    fresh = spent(watched, at_once) - (spent(after.minutes, at_once) if after.worse else 0.0)
    entering = math.log(fresh) if fresh > 0 else LEAST
    worse, room = _limited(worse, after.room, minutes, noise)
    return after.model_copy(
        update={
            "worse": tuple(
                bounded(log_add(log, math.log(share) + entering) + gain)
                for log, gain, (_, share) in zip(after.worse or (LEAST,) * len(WORSE), worse, staked, strict=True)
            ),
            "fine": tuple(
                bounded(log + gain)
                for log, gain in zip(after.fine or tuple(math.log(share) for _, share in FINE), fine, strict=True)
            ),
            "room": room,
            "minutes": watched,
        }
    )


def _staked(noise: Noise) -> tuple[tuple[tuple[float, float], ...], float]:
    """The ratios with their shares of the money, and what of it is bet at once."""
    return (WORSE_WHERE_IT_WANDERS, AT_ONCE_WHERE_IT_WANDERS) if wanders(noise) else (WORSE, AT_ONCE)


def _limited(
    gains: tuple[float, ...], room: tuple[float, ...], minutes: float, noise: Noise
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The gains that bursts leave, and how far each bet may rise next.

    Whatever a burst holds, a bet rises by `BURST_ROOM` at once and as much again in `ROOM_MINUTES`. A gain that is cut
    is a smaller gain, so this breaks no promise. Where a share `bursts` of minutes has one, a minute's gain is in the
    mean at most 1 + bursts * (e^most - 1), and is charged that.
    """
    if noise.bursts <= 0:
        return gains, ()
    charge = math.log1p(min(1.0, noise.bursts) * math.expm1(BURST_COST)) * minutes
    rooms = tuple(
        min(BURST_ROOM, had + BURST_ROOM * minutes / ROOM_MINUTES) for had in room or (BURST_ROOM,) * len(gains)
    )
    cut = tuple(min(gain, had) for gain, had in zip(gains, rooms, strict=True))
    return (
        tuple(gain - charge for gain in cut),
        tuple(min(BURST_ROOM, had - gain) for gain, had in zip(cut, rooms, strict=True)),
    )


def _unlimited(noise: Noise) -> Noise:
    """The noise by which a bet is lowered whose rises are limited where bursts are known."""
    return noise.model_copy(update={"burst": 0.0}) if noise.bursts > 0 else noise


def _gains(
    steps: tuple[tuple[float, float], ...], bound: float, pooled: Pooled, noise: Noise, information: float
) -> tuple[float, ...]:
    return tuple(_gain(_counts(pooled), bound, step, noise, information) for step, _ in steps)


def _counts(pooled: Pooled) -> Counts:
    return pooled.candidate_requests, pooled.candidate_bad, pooled.stable_requests, pooled.stable_bad


def _pool(pooled: Pooled, minutes: float, counts: Counts) -> Pooled:
    n, x, m, y = counts
    return Pooled(
        minutes=pooled.minutes + minutes,
        candidate_requests=pooled.candidate_requests + n,
        candidate_bad=pooled.candidate_bad + x,
        stable_requests=pooled.stable_requests + m,
        stable_bad=pooled.stable_bad + y,
    )


def _gain(counts: Counts, bound: float, step: float, noise: Noise, information: float) -> float:
    """What one reading adds to the logarithm of the bet on `step` times the bound."""
    n, x, m, y = counts
    if x + y <= 0:
        return 0.0
    log_step = math.log(step)
    other_side = math.log((bound * n + m) / (bound * step * n + m))
    return tempering(information, noise, log_step) * (x * log_step + (x + y) * other_side)


def _low(after: Evidence, n: float, x: float, spec: EvidenceSpec, noise: Noise) -> tuple[float, ...]:
    logs = after.low or tuple(math.log(share) for _, share in LOW)
    if n <= 0:
        return logs
    information = spec.negligible * after.recent_candidate / after.recent_minutes
    return tuple(
        bounded(log + _low_gain(n, x, step, spec.negligible, information, noise))
        for log, (step, _) in zip(logs, LOW, strict=True)
    )


def _low_gain(n: float, x: float, step: float, floor: float, information: float, noise: Noise) -> float:
    log_step = math.log(step)
    good = math.log((1 - step * floor) / (1 - floor))
    return tempering(information, noise, log_step) * (x * log_step + (n - x) * good)


def _counted(before: Evidence, minutes: float, n: float, x: float, m: float, y: float) -> Evidence:
    fading = math.exp(-minutes / RECENT_MINUTES)
    return before.model_copy(
        update={
            "candidate_requests": before.candidate_requests + n,
            "candidate_bad": before.candidate_bad + x,
            "stable_requests": before.stable_requests + m,
            "stable_bad": before.stable_bad + y,
            "recent_minutes": before.recent_minutes * fading + minutes,
            "recent_candidate": before.recent_candidate * fading + n,
            "recent_candidate_bad": before.recent_candidate_bad * fading + x,
            "recent_stable": before.recent_stable * fading + m,
            "recent_stable_bad": before.recent_stable_bad * fading + y,
        }
    )


def _side(requests: float | None, bad: float | None) -> tuple[float, float] | None:
    """Requests and bad ones of one version, or None where nothing can be made of what was read."""
    if requests is None or bad is None or not (_usable(requests) and _usable(bad)):
        return None
    if requests < LEAST_COUNTED:
        return 0.0, 0.0
    return float(requests), float(min(bad, requests)) if bad >= LEAST_COUNTED else 0.0


def _usable(value: float) -> bool:
    return 0 <= value < MOST_COUNTED
