"""The arithmetic of `analysis.wandering` over many traces at once."""

import numpy as np

from analysis import wandering as product
from benchmarks.judge_world import Floats


class Departures:
    """How far the two groups of each trace are apart."""

    def __init__(self, swing: Floats, spell: Floats) -> None:
        self.spell = np.where(spell > 0, spell, 1.0)
        self.variance = swing**2
        self.expected, self.taken, self.waited = np.zeros((3, swing.size))
        self.unknown = np.ones(swing.size)

    def weighed(self, rows: np.ndarray, pooled: Floats, ratios: Floats, information: Floats) -> Floats:
        """What each bet gains; rows are traces, columns are ratios."""
        minutes, n, x, m, y = pooled
        kept = np.exp(-(minutes + self.waited[rows]) / self.spell[rows])
        expected, taken = self.expected[rows] * kept, self.taken[rows] * kept
        unknown = 1 - (1 - self.unknown[rows]) * kept * kept
        variance = np.maximum(product.LEAST_VARIANCE, unknown * self.variance[rows])
        total, odds = x + y, np.log(n / m)
        claim = np.maximum(0.0, expected)
        usual, _ = _fit(claim, variance, x, total, odds)
        worse = expected[:, None] + ratios * (1 - taken)[:, None]
        fits, _ = _fit(worse, *(each[:, None] for each in (variance, x, total, odds)))
        above = worse > claim[:, None]
        step = np.where(above, worse - claim[:, None], 0.0) / (1 + variance * information)[:, None]
        share = ((1 + np.tanh((odds + claim) / 2)) / 2)[:, None]
        by_chance = x[:, None] * step - total[:, None] * np.log1p(share * np.expm1(step))
        gains: Floats = np.where(above, np.minimum(by_chance, fits - usual[:, None]), 0.0)
        _, shift = _fit(expected, variance, x, total, odds)
        known = variance * _information(shift, total, odds)
        share = known / (1 + known)
        self.expected[rows] = np.clip(shift, -product.FURTHEST, product.FURTHEST)
        self.unknown[rows] = unknown * (1 - share)
        self.taken[rows] = taken + share * (1 - taken)
        self.waited[rows] = 0.0
        return gains


def _fit(mean: Floats, variance: Floats, x: Floats, total: Floats, odds: Floats) -> tuple[Floats, Floats]:
    shift = mean
    for _ in range(product.STEPS):
        share = (1 + np.tanh((shift + odds) / 2)) / 2
        away = shift - mean - variance * (x - total * share)
        step = away / (1 + variance * total * share * (1 - share))
        shift = shift - np.clip(step, -product.LARGEST_STEP, product.LARGEST_STEP)
    value = shift + odds
    likely = x * shift - total * (np.maximum(value, 0.0) + np.log1p(np.exp(-np.abs(value))))
    fit = likely - (shift - mean) ** 2 / (2 * variance)
    return fit - np.log1p(variance * _information(shift, total, odds)) / 2, shift


def _information(shift: Floats, total: Floats, odds: Floats) -> Floats:
    share = (1 + np.tanh((shift + odds) / 2)) / 2
    information: Floats = total * share * (1 - share)
    return information
