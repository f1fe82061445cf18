"""One cell measured: how often each rule rolls back, when, and how many bad requests it lets through."""

import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import NormalDist

import numpy as np

from analysis.dispersion import learn
from analysis.equals import wilson
from benchmarks.judge_cells import BUSY, CLEARLY_WORSE, NULL_RATIO, Cell, named
from benchmarks.judge_opponents import Z98, decide, looks
from benchmarks.judge_ours import judge
from benchmarks.judge_world import Floats, draw, past
from models.evidence import EvidenceSpec, Noise

OURS = "holdfast"
PASTS = 500
"""Histories of a kind of cell; with more traces than that, several share one."""


@dataclass(frozen=True)
class Outcome:
    """Shares are of traces, `low` and `high` the ends of Wilson's 95% interval. Delays are minutes since the onset, of
    those rolled back after it; `false` were rolled back before, or in a cell where nothing is worse.
    """

    rolled_back: float
    low: float
    high: float
    false: float
    median: float | None
    p95: float | None
    bad_served: float


@dataclass(frozen=True)
class Honest:
    """What Kayenta's rule does in the same cell with a version that is not worse, and what is left of it when its
    confidence is raised so far that no more than alpha of those are rolled back. `confidence` is one-sided.
    """

    false: float
    confidence: float
    outcome: Outcome


@dataclass(frozen=True)
class Measured:
    cell: Cell
    traces: int
    outcomes: dict[str, Outcome]
    promoted: float
    promoted_median: float | None
    noise: float
    burst: float
    honest: dict[str, Honest] = field(default_factory=dict)


def measure(cell: Cell, *, traces: int, seed: int, seconds: float, spec: EvidenceSpec) -> Measured:
    rng = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    noises = _noises(learnt_from(cell), min(PASTS, traces), seed)
    noises = tuple(noises[index % len(noises)] for index in range(traces))
    drawn = draw(cell, rng, traces, seconds)
    ours = judge(drawn, spec, noises)
    readings = drawn.candidate_bad.shape[1]
    served = np.cumsum(drawn.candidate_bad, axis=1)
    minute = 60 / seconds

    def outcome(ends: Floats) -> Outcome:
        """Of readings, counted from 1, at which traces were rolled back; infinity: never."""
        hit = np.isfinite(ends)
        last = np.where(hit, ends, readings).astype(int)
        late = ends[hit & (ends > cell.onset * minute)] / minute - cell.onset
        low, high = wilson(int(hit.sum()), traces)
        early = hit & ((ends <= cell.onset * minute) | cell.is_null)
        return Outcome(
            rolled_back=float(hit.mean()),
            low=low,
            high=high,
            false=float(early.mean()),
            median=float(np.median(late)) if late.size else None,
            p95=float(np.quantile(late, 0.95)) if late.size else None,
            bad_served=float(served[np.arange(traces), last - 1].mean()),
        )

    outcomes = {OURS: outcome(np.where(ours.rolled_back < readings, ours.rolled_back + 1, np.inf))}
    for name, ends in decide(drawn, cell.rate).items():
        outcomes[name] = outcome(ends * minute)
    honest = {}
    if cell.ratio >= CLEARLY_WORSE and cell.traffic >= BUSY:
        looked = looks(drawn)
        for name, (false, quantile) in _raised(_twin(cell), traces, seed, seconds, spec.alpha).items():
            honest[name] = Honest(false, NormalDist().cdf(quantile), outcome(looked[name].ends(quantile) * minute))
    promoted = ours.promoted < readings
    return Measured(
        cell=cell,
        traces=traces,
        outcomes=outcomes,
        promoted=float(promoted.mean()),
        promoted_median=float(np.median(ours.promoted[promoted] + 1) / minute) if promoted.any() else None,
        noise=float(np.median([each.own for each in noises])),
        burst=float(np.median([each.burst for each in noises])),
        honest=honest,
    )


def _twin(cell: Cell) -> Cell:
    """The same with a version that is not worse: where the table has it, these are the same traces."""
    return named(replace(cell, ratio=NULL_RATIO))


@cache
def _raised(twin: Cell, traces: int, seed: int, seconds: float, alpha: float) -> dict[str, tuple[float, float]]:
    """How often each of Kayenta's rules rolls the cell's twin back, and the normal quantile with which alpha are."""
    rng = np.random.default_rng([seed, zlib.crc32(twin.name.encode())])
    found = looks(draw(twin, rng, traces, seconds))
    return {name: (float(np.isfinite(rule.ends(Z98)).mean()), rule.honest(alpha)) for name, rule in found.items()}


def learnt_from(cell: Cell) -> Cell:
    """The cell as its past saw it: what is worse or missing came later."""
    return Cell(
        name="",
        traffic=cell.traffic,
        share=cell.share,
        rate=cell.rate,
        noise=cell.noise,
        rho=cell.rho,
        swing=cell.swing,
        history=cell.history,
    )


@cache
def _noises(kind: Cell, count: int, seed: int) -> tuple[Noise, ...]:
    rng = np.random.default_rng([seed, zlib.crc32(repr(kind).encode())])
    return tuple(learn(past(kind, rng)) for _ in range(count))
