"""The watch of one version against its own past: how often it alarms for nothing, how soon for something.

By the product's own code without a margin, a minute a reading, 200 requests a minute of which 1% fail: noise is
learnt from three days, then alarms are counted over many; the delay after a rise is that of a watch a day old.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from analysis.change_watch import is_changed, learn_alone, observe
from benchmarks.judge_cells import Cell
from benchmarks.judge_world import draw
from models.evidence import Change, ChangeSpec, Noise

ASKED = timedelta(days=1)
LEARNT_MINUTES, QUIET_MINUTES, WORLDS, RISES = 4320, 14_400, 10, 60
MOST_WAITED = 240
RATIOS = (2.0, 3.0, 5.0)
KINDS = (("independent", 0.0), ("own", 0.5), ("own", 0.9), ("daily", 0.0))


@dataclass(frozen=True)
class Watched:
    """Minutes: asked between two false alarms, watched in all, and from a rise to its alarm in the median."""

    noise: str
    asked: float
    watched: float
    alarms: int
    delays: dict[str, float]

    @property
    def held(self) -> bool:
        return self.alarms * self.asked <= self.watched


def watch_alone(seed: int) -> list[Watched]:
    return [_watch(noise, rho, seed + number) for number, (noise, rho) in enumerate(KINDS)]


def _watch(noise: str, rho: float, seed: int) -> Watched:
    rng = np.random.default_rng(seed)
    spec = ChangeSpec(margin=0.0, alarm_every=ASKED)
    minutes = LEARNT_MINUTES + QUIET_MINUTES
    drawn = draw(Cell("", noise=noise, rho=rho, watched=minutes), rng, WORLDS, 60.0)
    alarms, waits = 0, {ratio: list[int]() for ratio in RATIOS}
    for requests, bad in zip(drawn.candidate_requests.tolist(), drawn.candidate_bad.tolist(), strict=True):
        usual = learn_alone(list(zip(requests, bad, strict=True))[:LEARNT_MINUTES])
        quiet = list(zip(requests, bad, strict=True))[LEARNT_MINUTES:]
        alarms += _alarms(quiet, spec, usual)
        for ratio in RATIOS:
            for start in rng.integers(1440, QUIET_MINUTES - MOST_WAITED, RISES // WORLDS).tolist():
                waits[ratio].append(_wait(quiet[start - 1440 : start + MOST_WAITED], ratio, spec, usual, rng))
    return Watched(
        noise=f"{noise} rho {rho:g}" if rho else noise,
        asked=ASKED / timedelta(minutes=1),
        watched=WORLDS * QUIET_MINUTES,
        alarms=alarms,
        delays={f"x{ratio:g}": float(np.median(waits[ratio])) for ratio in RATIOS},
    )


def _alarms(seen: list[tuple[float, float]], spec: ChangeSpec, usual: Noise) -> int:
    alarms, change = 0, Change()
    for requests, bad in seen:
        change = observe(change, 60, requests, bad, spec, usual)
        if is_changed(change, spec):
            alarms, change = alarms + 1, Change()
    return alarms


def _wait(
    seen: list[tuple[float, float]], ratio: float, spec: ChangeSpec, usual: Noise, rng: np.random.Generator
) -> int:
    """Minutes from the rise to the alarm. An alarm before it is a false one, and begins the watch anew."""
    change = Change()
    for minute, (requests, bad) in enumerate(seen, 1 - 1440):
        more = float(rng.binomial(int(requests - bad), min(1.0, 0.01 * (ratio - 1)))) if minute > 0 else 0.0
        change = observe(change, 60, requests, bad + more, spec, usual)
        if is_changed(change, spec):
            if minute > 0:
                return minute
            change = Change()
    return MOST_WAITED
