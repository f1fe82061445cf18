"""Our judge over many traces at once: the arithmetic of `analysis.evidence`, a column of readings at a time.

A test holds it against the product's code, trace by trace. What is learnt from the past is learnt by the product's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis import evidence as product
from analysis.bets import LEAST
from benchmarks.judge_wandering import Departures
from benchmarks.judge_world import Bools, Floats, Traces, as_read
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


class _Noises:
    def __init__(self, noises: Sequence[Noise]) -> None:
        def column(key: str) -> Floats:
            return np.array([getattr(each, key) for each in noises], dtype=np.float64)

        self.own, self.burst, self.bursts, self.spell = (column(key) for key in ("own", "burst", "bursts", "spell"))
        self.swing = column("swing")
        self.rate = np.where(column("minutes") > 0, column("rate"), product.ASSUMED_RATE)
        self.wanders = (self.spell > 0) & (self.swing > 0)
        self.unlimited = np.where(self.bursts > 0, 0.0, self.burst)
        self.at_once = np.where(self.wanders, product.AT_ONCE_WHERE_IT_WANDERS, product.AT_ONCE)
        self.charge = np.log1p(np.minimum(1.0, self.bursts) * math.expm1(product.BURST_COST))


class _Judge:
    def __init__(self, spec: EvidenceSpec, noises: Sequence[Noise]) -> None:
        count = len(noises)
        self.spec, self.noise = spec, _Noises(noises)
        self.worse = _Bets(product.WORSE, count, entered=False)
        self.fine = _Bets(product.FINE, count, entered=True)
        self.low = _Bets(product.LOW, count, entered=True)
        self.departures = Departures(self.noise.swing, self.noise.spell)
        self.stable, self.watched, self.recent = np.zeros((2, count)), np.zeros(count), np.zeros((3, count))
        self.pooled, self.apart = np.zeros((5, count)), np.zeros((5, count))
        wandering = _Bets(product.WORSE_WHERE_IT_WANDERS, count, entered=False)
        self.worse.steps = np.where(self.noise.wanders[:, None], wandering.steps, self.worse.steps)
        self.worse.log_steps = np.log(self.worse.steps)
        self.shares = np.where(self.noise.wanders[:, None], wandering.shares, self.worse.shares)
        self.room = np.full((count, len(product.WORSE)), product.BURST_ROOM)

    def read(self, minutes: Floats, n: Floats, x: Floats, m: Floats, y: Floats, one: Bools, other: Bools) -> None:
        self.stable = self.stable + np.stack([m, y])
        self.recent = self.recent * np.exp(-minutes / product.RECENT_MINUTES) + np.stack([minutes, n, m])
        counts, alone = np.stack([minutes, n, x, m, y]), (one != other) & (minutes > 0)
        self._together(np.where(one & other, counts, 0.0))
        if alone.any():
            self._apart(np.where(alone, counts, 0.0))
        self._low(n, x)

    def _together(self, counts: Floats) -> None:
        self.pooled = pooled = self.pooled + counts
        due = (np.minimum(pooled[1], pooled[3]) >= product.POOLED_REQUESTS) & (
            ~self.noise.wanders | (pooled[0] >= product.POOLED_MINUTES)
        )
        information = self._information()
        worse = self._gain(self.worse, 1 + self.spec.delta, pooled, due, information, self.noise.unlimited)
        fine = self._gain(self.fine, 1 + self.spec.tolerance, pooled, due, information, self.noise.burst)
        rows = np.flatnonzero(due & self.noise.wanders)
        if rows.size:
            held = pooled[:, rows] * np.array([1.0, 1 + self.spec.delta, 1.0, 1.0, 1.0])[:, None]
            expected = information[rows] * pooled[0, rows]
            worse[rows] = self.departures.weighed(rows, held, self.worse.log_steps[rows], expected)
        self._bet(due, pooled[0], worse, fine)
        self.pooled = np.where(due, 0.0, pooled)

    def _apart(self, counts: Floats) -> None:
        self.apart = apart = self.apart + counts
        self.departures.waited += counts[0]
        long = apart[0] >= product.APART_MINUTES
        due = long & (np.minimum(apart[1], apart[3]) >= product.POOLED_REQUESTS)
        if due.any():
            information, more = self._information(), product.APART_VARIANCE * apart[0]
            bets = ((self.worse, 1 + self.spec.delta), (self.fine, 1 + self.spec.tolerance))
            worse, fine = (
                self._gain(each, bound, apart, due, information, self.noise.unlimited, more) for each, bound in bets
            )
            self._bet(due, apart[0], np.minimum(product.APART_ROOM, worse), np.minimum(product.APART_ROOM, fine))
        self.apart = np.where(due | (apart[0] >= product.MOST_APART_MINUTES), 0.0, apart)

    def _bet(self, due: Bools, minutes: Floats, worse: Floats, fine: Floats) -> None:
        before, self.watched = self.watched, self.watched + np.where(due, minutes, 0.0)
        spent, earlier = (_spent(minutes, self.noise.at_once) for minutes in (self.watched, before))
        fresh = np.where(due, spent - np.where(before > 0, earlier, 0.0), 1.0)
        entering = np.where(due[:, None], self.shares + np.log(fresh)[:, None], -np.inf)
        limited = (due & (self.noise.bursts > 0))[:, None]
        refilled = np.minimum(
            product.BURST_ROOM, self.room + (product.BURST_ROOM * minutes / product.ROOM_MINUTES)[:, None]
        )
        cut = np.minimum(worse, refilled)
        self.room = np.where(limited, np.minimum(product.BURST_ROOM, refilled - cut), self.room)
        worse = np.where(limited, cut - (self.noise.charge * minutes)[:, None], worse)
        self.worse.logs = np.logaddexp(self.worse.logs, entering) + np.where(due[:, None], worse, 0.0)
        self.fine.logs = self.fine.logs + np.where(due[:, None], fine, 0.0)

    def _gain(
        self,
        bets: _Bets,
        bound: float,
        pooled: Floats,
        due: Bools,
        information: Floats,
        burst: Floats,
        more: Floats | float = 0.0,
    ) -> Floats:
        _, n, x, m, y = np.where(due, pooled, 1.0)[:, :, None]
        gain = x * bets.log_steps + (x + y) * np.log((bound * n + m) / (bound * bets.steps * n + m))
        tempered: Floats = gain * _temper(information, self.noise.own + more, burst, bets.log_steps)
        return tempered

    def _information(self) -> Floats:
        minutes, n, m = self.recent
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.where((n > 0) & (m > 0), n / (n + m) * m / minutes, 0.0)
        seen = (self.stable[1] + self.noise.rate * product.ASSUMED_REQUESTS) / (
            self.stable[0] + product.ASSUMED_REQUESTS
        )
        information: Floats = apart * np.maximum(self.noise.rate, seen)
        return information

    def _low(self, n: Floats, x: Floats) -> None:
        low, floor = self.low, self.spec.negligible
        with np.errstate(divide="ignore", invalid="ignore"):
            alone = np.nan_to_num(floor * self.recent[1] / self.recent[0])
        good = np.log((1 - low.steps * floor) / (1 - floor))
        gain = x[:, None] * low.log_steps + (n - x)[:, None] * good
        gain = gain * _temper(alone, self.noise.own, self.noise.burst, low.log_steps)
        low.logs = low.logs + np.where((n > 0)[:, None], gain, 0.0)


def judge(traces: Traces, spec: EvidenceSpec, noises: Sequence[Noise]) -> Judged:
    traces, seconds = as_read(traces)
    count, readings = traces.candidate_bad.shape
    rolled_back, promoted = np.full(count, float(readings)), np.full(count, float(readings))
    judging = _Judge(spec, noises)
    for reading in range(readings):
        one, other = traces.candidate_known[:, reading], traces.stable_known[:, reading]
        judging.read(
            seconds[:, reading] / 60,
            traces.candidate_requests[:, reading] * one,
            traces.candidate_bad[:, reading] * one,
            traces.stable_requests[:, reading] * other,
            traces.stable_bad[:, reading] * other,
            one,
            other,
        )
        is_worse = judging.worse.sum() >= math.log(1 / spec.alpha)
        is_fine = np.logaddexp(judging.fine.sum(), judging.low.sum()) - math.log(2) >= math.log(1 / spec.beta)
        rolled_back = np.where(is_worse & (rolled_back == readings), reading, rolled_back)
        promoted = np.where(is_fine & (promoted == readings) & (rolled_back > reading), reading, promoted)
    return Judged(rolled_back=rolled_back, promoted=promoted)


def _temper(information: Floats, own: Floats, burst: Floats, log_steps: Floats) -> Floats:
    spread = np.maximum(own[:, None], burst[:, None] * np.abs(log_steps) / product.BURST_ALLOWANCE)
    tempered: Floats = 1 / (1 + information[:, None] * spread)
    return tempered


def _spent(minutes: Floats, at_once: Floats) -> Floats:
    spent: Floats = at_once + (1 - at_once) * (1 - 1 / (1 + minutes / product.SPREAD_MINUTES))
    return spent
