"""Sums of bets that are kept as logarithms, so that neither a ruin nor a fortune leaves a float's range."""

import math
from collections.abc import Iterable

LEAST, MOST = -1e6, 1e6
LEAST_STAKE, MOST_STAKE = 1e-6, 1e6


def log_sum(logs: Iterable[float]) -> float:
    """The logarithm of the sum; `LEAST` of nothing."""
    values = tuple(logs)
    top = max(values, default=LEAST)
    return bounded(top + math.log(math.fsum(math.exp(value - top) for value in values))) if values else LEAST


def log_add(one: float, other: float) -> float:
    high, low = (one, other) if one >= other else (other, one)
    return high + math.log1p(math.exp(low - high))


def log_mean(logs: Iterable[float], weights: Iterable[float]) -> float:
    """The logarithm of the weighted average; `LEAST` of nothing, or without a weight that counts."""
    pairs = [(log, stake(weight)) for log, weight in zip(logs, weights, strict=True) if stake(weight) > 0]
    if not pairs:
        return LEAST
    total = math.fsum(weight for _, weight in pairs)
    return log_sum(log + math.log(weight / total) for log, weight in pairs)


def stake(weight: float) -> float:
    """A weight that can be reckoned with: 0 where it is not a number, or as good as nothing."""
    return min(weight, MOST_STAKE) if weight >= LEAST_STAKE else 0.0


def bounded(log: float) -> float:
    return min(MOST, max(LEAST, log))


def pay_out(log: float) -> float:
    """What a bet of 1 became, as a finite number."""
    return math.exp(min(log, 700.0))
