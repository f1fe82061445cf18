"""How often equals are rolled back: by what is assumed without a past, and by what was learnt from one.

`make bench-equals`: made-up services whose noise is known, each as four groups of one version over a day and a half,
judged by the product's code as `holdfast judge noise` replays it. Six minutes on one core. The exit code is 1 where
what was learnt breaks the promise.
"""

import argparse
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from analysis.equals import Minute, Period, Standing, crossed_trials, rate_of, standing, trials
from analysis.equals_view import rate_words
from benchmarks.judge_cells import Cell
from benchmarks.judge_world import past
from models.evidence import UNKNOWN, EvidenceSpec

SPEC = EvidenceSpec()
GROUPS, HISTORY_MINUTES = 4, 36 * 60.0
TRAFFIC = (200, 2_000, 20_000)
KINDS: Sequence[tuple[str, str, float, float]] = (
    ("by chance alone", "independent", 0.0, 0.0),
    ("wander by a third (rho 0.5)", "own", 0.5, 0.3),
    ("wander by a third (rho 0.8)", "own", 0.8, 0.3),
    ("wander by a third (rho 0.9)", "own", 0.9, 0.3),
    ("wander by a third (rho 0.95)", "own", 0.95, 0.3),
    ("wander by two thirds (rho 0.9)", "own", 0.9, 0.6),
    ("wander alike (rho 0.9)", "shared", 0.9, 0.3),
    ("a day's cycle", "daily", 0.0, 0.0),
    ("instances restart", "restarts", 0.0, 0.0),
)


def cells() -> Iterator[Cell]:
    for name, noise, rho, swing in KINDS:
        for traffic in TRAFFIC:
            label = f"{name}, {traffic:,} a minute"
            yield Cell(label, traffic, share=0.1, noise=noise, rho=rho, swing=swing, history=HISTORY_MINUTES)


def service(cell: Cell, number: int) -> tuple[Period, ...]:
    def group(index: int) -> Period:
        rng = np.random.default_rng([number, index, zlib.crc32(cell.name.encode())])
        minutes = (Minute(60.0 * at, pair) for at, pair in enumerate(past(cell, rng)))
        return Period(str(index), tuple(minutes))

    return tuple(group(index) for index in range(GROUPS))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=8, help="of each kind; each has 144 hours of equals")
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    given = parser.parse_args(arguments)
    broken = 0
    for cell in cells():
        if given.only not in cell.name:
            continue
        services = [service(cell, number) for number in range(given.services)]
        assumed = rate_of(one for each in services for one in trials(each, SPEC, UNKNOWN))
        learnt = rate_of(one for each in services for one in crossed_trials(each, SPEC))
        print(f"{cell.name}\n  assumed  {rate_words(assumed, SPEC.alpha)}\n  learnt   {rate_words(learnt, SPEC.alpha)}")
        broken += standing(learnt, SPEC.alpha) is Standing.BROKEN
    print(
        f"What was learnt breaks the promise in {broken} of them." if broken else "What was learnt keeps the promise."
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
