"""Traces of a cell: what two versions answered, reading by reading, with the noise that the cell has."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.dispersion import Pair
from benchmarks.judge_cells import Cell

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAY = 1440.0
RESTARTS_PER_MINUTE = 1 / 360
RESTART_MINUTES = 1 / 6
RESTART_RATE = 0.5
INSTANCES = 20
OUTAGE = (10.0, 20.0)


@dataclass(frozen=True)
class Traces:
    """Rows are traces, columns are readings `seconds` apart. What is not known was counted all the same.

    `kept`: by counters, so that the next reading of both versions has it.
    """

    seconds: float
    kept: bool
    candidate_requests: Floats
    candidate_bad: Floats
    stable_requests: Floats
    stable_bad: Floats
    candidate_known: Bools
    stable_known: Bools

    @property
    def minutes(self) -> int:
        readings: int = self.candidate_bad.shape[1]
        return round(readings * self.seconds / 60)


def draw(cell: Cell, rng: np.random.Generator, traces: int, seconds: float) -> Traces:
    readings = round(cell.minutes * 60 / seconds)
    shape = (traces, readings)
    phase = rng.uniform(0, DAY, (traces, 1))
    candidate, stable, cycle = _rates(cell, rng, shape, seconds / 60, phase)
    moments = np.arange(readings) * seconds / 60
    candidate = np.where(moments >= cell.onset, candidate * cell.ratio, candidate)
    per_reading = cell.traffic * seconds / 60 * cycle
    n = rng.poisson(np.broadcast_to(per_reading, shape)).astype(np.float64)
    m = rng.poisson(np.broadcast_to(per_reading * (1 - cell.share) / cell.share, shape)).astype(np.float64)
    return Traces(
        seconds=seconds,
        kept=not cell.gone,
        candidate_requests=n,
        candidate_bad=rng.binomial(n.astype(np.int64), np.clip(candidate, 0, 1)).astype(np.float64),
        stable_requests=m,
        stable_bad=rng.binomial(m.astype(np.int64), np.clip(stable, 0, 1)).astype(np.float64),
        candidate_known=_known(cell, rng, shape, seconds),
        stable_known=_known(cell, rng, shape, seconds),
    )


def as_read(traces: Traces) -> tuple[Traces, Floats]:
    """What a judge is told that reads counters, and the seconds that each reading covers; 0: there is none.

    A reading that lacks one version is no reading: the next that has both covers its time too.
    """
    shape = traces.candidate_bad.shape
    if not traces.kept:
        return traces, np.where(traces.candidate_known | traces.stable_known, traces.seconds, 0.0)
    both = traces.candidate_known & traces.stable_known
    if both.all():
        return traces, np.full(shape, traces.seconds)
    columns = [traces.candidate_requests, traces.candidate_bad, traces.stable_requests, traces.stable_bad]
    columns.append(np.full(shape, traces.seconds))
    last = np.maximum.accumulate(np.where(both, np.arange(shape[1]) + 1, 0), axis=1)
    before = np.pad(last, ((0, 0), (1, 0)))[:, :-1]
    told = []
    for column in columns:
        sums = np.pad(np.cumsum(column, axis=1), ((0, 0), (1, 0)))
        since = np.take_along_axis(sums, last, axis=1) - np.take_along_axis(sums, before, axis=1)
        told.append(np.where(both, since, 0.0))
    n, x, m, y, elapsed = told
    lumps = replace(
        traces,
        candidate_requests=n,
        candidate_bad=x,
        stable_requests=m,
        stable_bad=y,
        candidate_known=both,
        stable_known=both,
    )
    return lumps, elapsed


def past(cell: Cell, rng: np.random.Generator) -> list[Pair]:
    """A/A history, a minute a row: a group of the stable version as large as the candidate beside the rest."""
    shape = (1, round(cell.history))
    if not shape[1]:
        return []
    one, rest, cycle = _rates(cell, rng, shape, 1.0, rng.uniform(0, DAY, (1, 1)))
    per_minute = np.broadcast_to(cell.traffic * cycle, shape)
    n = rng.poisson(per_minute)
    m = rng.poisson(per_minute * (1 - cell.share) / cell.share)
    x, y = rng.binomial(n, np.clip(one, 0, 1)), rng.binomial(m, np.clip(rest, 0, 1))
    return [Pair(*row) for row in zip(*(each[0].astype(float).tolist() for each in (n, x, m, y)), strict=True)]


def _rates(
    cell: Cell, rng: np.random.Generator, shape: tuple[int, int], step: float, phase: Floats
) -> tuple[Floats, Floats, Floats]:
    """The rates of two equal arms, and the cycle of the traffic. `step` is the minutes between two columns."""
    flat = np.full(shape, cell.rate)
    still = np.ones((1, 1))
    match cell.noise:
        case "own":
            one, other = (_wander(cell, rng, shape, step) for _ in range(2))
            return flat * one, flat * other, still
        case "shared":
            both = _wander(cell, rng, shape, step)
            return flat * both, flat * both, still
        case "daily":
            angle = 2 * np.pi * (np.arange(shape[1]) * step + phase) / DAY
            return flat * (1 + 0.5 * np.sin(angle)), flat * (1 + 0.5 * np.sin(angle)), 1 + 0.5 * np.cos(angle)
        case "restarts":
            few = max(1, round(INSTANCES * cell.share))
            return _restarting(flat, rng, few, step), _restarting(flat, rng, INSTANCES - few, step), still
        case _:
            return flat, flat, still


def _wander(cell: Cell, rng: np.random.Generator, shape: tuple[int, int], step: float) -> Floats:
    """A factor with mean 1 whose logarithm is AR(1) from minute to minute, and begins as it goes on."""
    minutes = int(np.ceil(shape[1] * step))
    log = np.empty((shape[0], minutes))
    log[:, 0] = rng.normal(0, cell.swing, shape[0])
    shocks = rng.normal(0, cell.swing * np.sqrt(1 - cell.rho**2), (shape[0], minutes))
    for minute in range(1, minutes):
        log[:, minute] = cell.rho * log[:, minute - 1] + shocks[:, minute]
    factor = np.exp(log - cell.swing**2 / 2)
    return np.repeat(factor, round(1 / step), axis=1)[:, : shape[1]]


def _restarting(flat: Floats, rng: np.random.Generator, instances: int, step: float) -> Floats:
    begun = rng.poisson(instances * RESTARTS_PER_MINUTE * step, flat.shape).astype(np.float64)
    lasting = max(1, round(RESTART_MINUTES / step))
    down = sum(
        (np.pad(begun, ((0, 0), (late, 0)))[:, : flat.shape[1]] for late in range(lasting)), np.zeros(flat.shape)
    )
    share = np.minimum(1.0, down * min(1.0, RESTART_MINUTES / step) / instances)
    rates: Floats = flat * (1 - share) + RESTART_RATE * share
    return rates


def _known(cell: Cell, rng: np.random.Generator, shape: tuple[int, int], seconds: float) -> Bools:
    a_minute = round(60 / seconds)
    minutes = -(-shape[1] // a_minute)
    known = rng.random((shape[0], minutes)) >= cell.lost
    if cell.outage:
        moments = np.arange(minutes)
        known &= ~((moments >= OUTAGE[0]) & (moments < OUTAGE[1]))
    return np.repeat(known, a_minute, axis=1)[:, : shape[1]]
