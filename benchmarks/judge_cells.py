"""The cells: what a service may be like while a candidate is watched, each factor varied around one base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

TRAFFIC = (20, 200, 1_000, 20_000)
RATIOS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
RHOS = (0.5, 0.8, 0.9)
BASE_RATE = 0.01
NULL_RATIO = 1.0
CLEARLY_WORSE, BUSY = 1.5, 200
"""The ratio and the traffic from which on we are to serve fewer bad requests than Kayenta's rule."""


@dataclass(frozen=True)
class Cell:
    """Times are minutes. `traffic` is what the candidate answers a minute; the stable version has the rest.

    `swing` is the deviation of the logarithm of the rate: of one arm where noise is `own`, of both alike where it is
    `shared`. `lost` is the share of minutes in which readings of an arm fail, which the next one makes up for, as it
    reads counters; unless they are `gone`. In an outage they fail for ten minutes.
    """

    name: str
    traffic: float = 200
    ratio: float = 1.0
    share: float = 0.05
    rate: float = BASE_RATE
    noise: str = "independent"
    rho: float = 0.0
    swing: float = 0.3
    lost: float = 0.0
    gone: bool = False
    outage: bool = False
    onset: float = 0.0
    history: float = 1440.0
    watched: float = 60.0

    @property
    def minutes(self) -> float:
        return self.onset + self.watched

    @property
    def is_null(self) -> bool:
        return self.ratio <= NULL_RATIO


def cells() -> Iterator[Cell]:
    """Every cell once, in the order of the table."""
    noises = (*(("own", rho) for rho in RHOS), ("shared", 0.9), ("daily", 0.0), ("restarts", 0.0))
    some, ends = (1.0, 1.5, 2.0, 5.0), (1.0, 2.0, 5.0)
    yield from _crossed({"traffic": TRAFFIC, "ratio": RATIOS})
    for noise, rho in noises:
        yield from _crossed({"noise": [noise], "rho": [rho], "traffic": TRAFFIC, "ratio": some})
    yield from _crossed({"noise": ["own"], "swing": (0.15, 0.6), "rho": RHOS, "traffic": TRAFFIC})
    yield from _crossed({"share": (0.01, 0.5), "traffic": TRAFFIC, "ratio": some})
    yield from _crossed({"noise": ["own"], "share": (0.01, 0.5), "rho": RHOS, "traffic": TRAFFIC})
    yield from _crossed({"onset": [20.0], "traffic": TRAFFIC, "ratio": some[1:]})
    yield from _crossed({"lost": (0.1, 0.5), "traffic": TRAFFIC, "ratio": some})
    yield from _crossed({"outage": [True], "traffic": TRAFFIC, "ratio": some})
    yield from _crossed({"lost": [0.5], "gone": [True], "traffic": TRAFFIC, "ratio": some})
    yield from _crossed({"noise": ["shared"], "rho": RHOS, "lost": [0.5], "gone": [True], "traffic": TRAFFIC})
    yield from _crossed({"history": [0.0], "traffic": (200, 20_000), "ratio": ends})
    yield from _crossed({"traffic": [50], "rate": [0.005]})
    yield from _crossed({"traffic": [10], "share": [0.5], "ratio": [5.0]})


def _crossed(factors: Mapping[str, Sequence[object]]) -> Iterator[Cell]:
    for values in product(*factors.values()):
        yield named(replace(Cell(""), **dict(zip(factors, values, strict=True))))  # type: ignore[arg-type]


def named(cell: Cell) -> Cell:
    words = [f"{cell.traffic:g}/min", f"x{cell.ratio:g}"]
    if cell.noise != "independent":
        words.append(cell.noise + (f" rho {cell.rho:g}" if cell.rho else ""))
        if cell.noise == "own" and cell.swing != Cell.swing:
            words.append(f"swing {cell.swing:g}")
    if cell.share != Cell.share:
        words.append(f"share {cell.share:.0%}")
    if cell.rate != BASE_RATE:
        words.append(f"rate {cell.rate:.1%}")
    if cell.lost:
        words.append(f"{'gone' if cell.gone else 'lost'} {cell.lost:.0%}")
    if cell.outage:
        words.append("outage")
    if cell.onset:
        words.append(f"onset {cell.onset:g} min")
    if not cell.history:
        words.append("no history")
    return replace(cell, name=", ".join(words))
