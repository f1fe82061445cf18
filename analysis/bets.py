"""Sums of bets that are kept as logarithms, so that neither a ruin nor a fortune leaves a float's range."""

import math
from collections.abc import Iterable

LEAST, MOST = -1e6, 1e6


def log_sum(logs: Iterable[float]) -> float:
    """The logarithm of the sum; `LEAST` of nothing."""
    values = tuple(logs)
    top = max(values, default=LEAST)
    return bounded(top + math.log(math.fsum(math.exp(value - top) for value in values))) if values else LEAST


def log_add(one: float, other: float) -> float:
    high, low = (one, other) if one >= other else (other, one)
    return high + math.log1p(math.exp(low - high))


def log_mean(logs: Iterable[float], weights: Iterable[float]) -> float:
    """The logarithm of the weighted average. Weights that are not above 0 do not count; `LEAST` of nothing."""
    pairs = [(log, weight) for log, weight in zip(logs, weights, strict=True) if 0 < weight < math.inf]
    if not pairs:
        return LEAST
    total = math.fsum(weight for _, weight in pairs)
    return log_sum(log + math.log(weight / total) for log, weight in pairs)


def bounded(log: float) -> float:
    return min(MOST, max(LEAST, log))


def pay_out(log: float) -> float:
    """What a bet of 1 became, as a finite number."""
    return math.exp(min(log, 700.0))
