"""Our judge over many traces at once: the arithmetic of `analysis.evidence`, a column of readings at a time.

A test holds it against the product's code, trace by trace. What is learnt from the past is learnt by the product's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis import evidence as product
from analysis.bets import LEAST
from benchmarks.judge_world import Floats, Traces, as_read
from models.evidence import EvidenceSpec, Noise


@dataclass(frozen=True)
class Judged:
    """The reading at which each trace was decided, counted from 0; as many as there are readings: never."""

    rolled_back: Floats
    promoted: Floats


class _Bets:
    """Logarithms of bets: rows are traces, columns are alternatives."""

    def __init__(self, steps: Sequence[tuple[float, float]], traces: int, *, entered: bool) -> None:
        self.log_steps = np.log([step for step, _ in steps])
        self.steps = np.array([step for step, _ in steps])
        self.shares = np.log([share for _, share in steps])
        self.logs = np.tile(self.shares, (traces, 1)) if entered else np.full((traces, len(steps)), LEAST)

    def sum(self) -> Floats:
        top = self.logs.max(axis=1)
        total: Floats = top + np.log(np.exp(self.logs - top[:, None]).sum(axis=1))
        return total


def judge(traces: Traces, spec: EvidenceSpec, noises: Sequence[Noise]) -> Judged:
    traces, seconds = as_read(traces)
    count, readings = traces.candidate_bad.shape
    worse, fine, low = (
        _Bets(product.WORSE, count, entered=False),
        _Bets(product.FINE, count, entered=True),
        _Bets(product.LOW, count, entered=True),
    )
    own, burst, rate = (np.array([getattr(each, key) for each in noises]) for key in ("own", "burst", "rate"))
    known_rate = np.where(np.array([each.minutes for each in noises]) > 0, rate, product.ASSUMED_RATE)
    stable_requests, stable_bad, watched = np.zeros(count), np.zeros(count), np.zeros(count)
    recent, pooled = np.zeros((3, count)), np.zeros((5, count))
    rolled_back, promoted = np.full(count, float(readings)), np.full(count, float(readings))

    def temper(information: Floats, log_steps: Floats) -> Floats:
        spread = np.maximum(own[:, None], burst[:, None] * np.abs(log_steps) / product.BURST_ALLOWANCE)
        tempered: Floats = 1 / (1 + information[:, None] * spread)
        return tempered

    for reading in range(readings):
        one, other = traces.candidate_known[:, reading], traces.stable_known[:, reading]
        n, x = traces.candidate_requests[:, reading] * one, traces.candidate_bad[:, reading] * one
        m, y = traces.stable_requests[:, reading] * other, traces.stable_bad[:, reading] * other
        step = seconds[:, reading] / 60
        fading = np.exp(-step / product.RECENT_MINUTES)
        stable_requests, stable_bad = stable_requests + m, stable_bad + y
        recent = recent * fading + np.stack([step, n, m])
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = recent[1] / (recent[1] + recent[2]) * recent[2] / recent[0]
            alone = spec.negligible * recent[1] / recent[0]
        apart = np.where((recent[1] > 0) & (recent[2] > 0), apart, 0.0)
        alone = np.nan_to_num(alone)
        seen = (stable_bad + known_rate * product.ASSUMED_REQUESTS) / (stable_requests + product.ASSUMED_REQUESTS)
        information = apart * np.maximum(known_rate, seen)

        pooled = pooled + np.where(one & other, np.stack([step, n, x, m, y]), 0.0)
        weighed = (pooled[1] >= product.POOLED_REQUESTS) & (pooled[3] >= product.POOLED_REQUESTS)
        before, watched = watched, watched + np.where(weighed, pooled[0], 0.0)
        fresh = _spent(watched) - np.where(before > 0, _spent(before), 0.0)
        entering = np.where(weighed[:, None], worse.shares + np.log(np.where(weighed, fresh, 1.0))[:, None], -np.inf)
        worse.logs = np.logaddexp(worse.logs, entering)
        for bets, bound in ((worse, 1 + spec.delta), (fine, 1 + spec.tolerance)):
            gain = _gain(bets, bound, pooled, weighed) * temper(information, bets.log_steps)
            bets.logs = bets.logs + np.where(weighed[:, None], gain, 0.0)
        pooled = np.where(weighed, 0.0, pooled)
        floors = np.log((1 - low.steps * spec.negligible) / (1 - spec.negligible))
        gain = x[:, None] * low.log_steps + (n - x)[:, None] * floors
        low.logs = low.logs + np.where((n > 0)[:, None], temper(alone, low.log_steps) * gain, 0.0)

        is_worse = worse.sum() >= math.log(1 / spec.alpha)
        is_fine = np.logaddexp(fine.sum(), low.sum()) - math.log(2) >= math.log(1 / spec.beta)
        rolled_back = np.where(is_worse & (rolled_back == readings), reading, rolled_back)
        promoted = np.where(is_fine & (promoted == readings) & (rolled_back > reading), reading, promoted)
    return Judged(rolled_back=rolled_back, promoted=promoted)


def _gain(bets: _Bets, bound: float, pooled: Floats, weighed: NDArray[np.bool_]) -> Floats:
    _, n, x, m, y = np.where(weighed, pooled, 1.0)[:, :, None]
    gain: Floats = x * bets.log_steps + (x + y) * np.log((bound * n + m) / (bound * bets.steps * n + m))
    return gain


def _spent(minutes: Floats) -> Floats:
    spent: Floats = product.AT_ONCE + (1 - product.AT_ONCE) * (1 - 1 / (1 + minutes / product.SPREAD_MINUTES))
    return spent
