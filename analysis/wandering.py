"""Bets on counts where a group's rate wanders by itself, for a while at a time.

The logarithm of the two groups' rate ratio is taken to be a steady difference (none, for the claim) and a departure
that comes and goes: an Ornstein-Uhlenbeck process of deviation `swing`, which forgets itself within about `spell`
minutes. How far the groups are apart by now is followed as a Kalman filter does, so that only what the past does not
explain speaks for a worse candidate. Of x failures among k, with a shift u of their log odds (log s without one), a
prediction N(mean, P) of it fits as well as the best u does: x u - k log(1 + s e^u) - (u - mean)^2 / 2P, less
log(1 + P i) / 2 with the information i there (Laplace's approximation). A bet is the ratio of two such predictions. If
departures are as they are taken to be, it is never expected to gain while the claim holds, as a ratio of predictive
densities (but for the approximation). That the candidate departed to the better is not held against it: the claim's
mean is kept at 0 or above, which only lowers the gain.

If there are no departures at all, the promise does not rest on any of this: no gain is larger than that of the plain
bet of `analysis.evidence` at a ratio e^s, x s - k log(1 + p (e^s - 1)) with the claim's share p, where s is fixed
before the reading; and what is never more than a fair bet's gain is fair. As s is the slope of the gain where it is
expected to lie, and the gain bends away from a straight line, this bound hardly ever cuts anything. With P = 0 both
are the same.
"""

import math
from collections.abc import Sequence

from models.evidence import Departure, Noise

FURTHEST = 12.0
STEPS = 8
"""Of Newton's method. From anywhere that matters half of them are enough."""
LARGEST_STEP = 1.5
LEAST_VARIANCE = 1e-9


def wanders(noise: Noise) -> bool:
    return noise.spell > 0 and noise.swing > 0


def weighed(
    before: Departure,
    minutes: float,
    counts: tuple[float, float, float, float],
    ratios: Sequence[float],
    noise: Noise,
    information: float,
) -> tuple[tuple[float, ...], Departure]:
    """What each bet gains by a reading of so many minutes, and how far the groups are apart after it.

    `counts`: requests and bad ones of the candidate, then of the stable version; the former are to be multiplied by
    the claim's bound already. `ratios` are logarithms. `information`: failures that were expected to tell the two
    apart, by what was known before the reading.
    """
    n, x, m, y = counts
    now = _later(before, minutes, noise)
    variance = max(LEAST_VARIANCE, now.unknown * noise.swing**2)
    total, odds = x + y, math.log(n / m)
    claim = max(0.0, now.expected)
    usual, _ = _fit(claim, variance, x, total, odds)
    share = _share(odds + claim)
    gains = []
    for ratio in ratios:
        worse = now.expected + ratio * (1 - now.taken)
        if worse > claim:
            step = (worse - claim) / (1 + variance * information)
            by_chance = x * step - total * math.log1p(share * math.expm1(step))
            gains.append(min(by_chance, _fit(worse, variance, x, total, odds)[0] - usual))
        else:
            gains.append(0.0)
    return tuple(gains), _learnt(now, variance, x, total, odds)


def waited(before: Departure, minutes: float) -> Departure:
    """Time passed of which one group is not known."""
    return before.model_copy(update={"waited": before.waited + minutes})


def _later(before: Departure, minutes: float, noise: Noise) -> Departure:
    kept = math.exp(-(minutes + before.waited) / noise.spell)
    return Departure(
        expected=before.expected * kept, unknown=1 - (1 - before.unknown) * kept * kept, taken=before.taken * kept
    )


def _learnt(now: Departure, variance: float, x: float, total: float, odds: float) -> Departure:
    _, shift = _fit(now.expected, variance, x, total, odds)
    known = variance * _information(shift, total, odds)
    share = known / (1 + known)
    return Departure(
        expected=min(FURTHEST, max(-FURTHEST, shift)),
        unknown=now.unknown * (1 - share),
        taken=now.taken + share * (1 - now.taken),
    )


def _fit(mean: float, variance: float, x: float, total: float, odds: float) -> tuple[float, float]:
    """The logarithm of what a prediction gives to a reading, and the shift that fits it best."""
    shift = mean
    for _ in range(STEPS):
        share = _share(shift + odds)
        away = shift - mean - variance * (x - total * share)
        step = away / (1 + variance * total * share * (1 - share))
        shift -= min(LARGEST_STEP, max(-LARGEST_STEP, step))
    likely = x * shift - total * _log1p_exp(shift + odds)
    fit = likely - (shift - mean) ** 2 / (2 * variance)
    return fit - math.log1p(variance * _information(shift, total, odds)) / 2, shift


def _information(shift: float, total: float, odds: float) -> float:
    share = _share(shift + odds)
    return total * share * (1 - share)


def _share(log_odds: float) -> float:
    return (1 + math.tanh(log_odds / 2)) / 2


def _log1p_exp(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
