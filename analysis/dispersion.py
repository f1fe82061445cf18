"""How much a group of instances wanders by itself, learnt from equals: a group of the stable version beside the rest.

Two groups of one version should share their failures as they share their traffic. Chance moves the share a little
(binomially); a slow node, a noisy neighbour or a restart of one group moves it more, and for longer than a minute.
Evidence that took such wandering for a worse version would be wrong in far more than the promised share of rollouts,
so the excess is measured here and `analysis.evidence` tempers its bets by it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from models.evidence import UNKNOWN, Noise

BLOCKS = (1, 2, 5, 10, 20, 40, 60)
"""Minutes over which failures are pooled: correlation shows in long blocks, which are few, so all are looked at."""
FEWEST_BLOCKS = 8
SIGNIFICANT = 1.5
"""Standard errors by which an excess must stand out to be one: chance alone shows a smaller one often."""
CAUTION = 0.5
"""Standard errors that are added to an excess that stands out, as its estimate may be too small."""
EFFECTIVE = 1.4
"""Overlapping blocks tell as much as so many times their number side by side."""
BURST_BLOCKS = (1, 5)
BURST_ERRORS, BURST_STANDS_OUT = 3.0, 4.5
"""Bad requests, and deviations of chance, beyond which a block of a day's minutes is a burst."""
MOST_COUNTED = 1e12


class Pair(NamedTuple):
    """One minute of one version: requests and bad ones of a group as large as the candidate, and of the rest."""

    requests: float
    bad: float
    rest_requests: float
    rest_bad: float


def learn(history: Sequence[Pair]) -> Noise:
    """The noise of one group. Minutes in which either has no traffic, or that make no sense, are left out."""
    minutes = [pair for pair in history if _sound(pair)]
    requests = math.fsum(pair.requests + pair.rest_requests for pair in minutes)
    bad = math.fsum(pair.bad + pair.rest_bad for pair in minutes)
    if bad <= 0:
        return UNKNOWN.model_copy(update={"minutes": float(len(minutes))}) if minutes else UNKNOWN
    sums = _running(minutes)
    return Noise(
        own=max(_excess(sums, block) for block in BLOCKS),
        burst=max(_burst(sums, block, bad / requests) for block in BURST_BLOCKS),
        rate=bad / requests,
        minutes=float(len(minutes)),
    )


def over_dispersion(history: Sequence[Pair], block: int) -> float:
    """How many times as much as by chance the share of failures moves, in blocks of so many minutes; 1 if unknown."""
    squares, chance, _ = _moments(_running([pair for pair in history if _sound(pair)]), block)
    return squares / chance if chance > 0 else 1.0


def _excess(sums: "_Sums", block: int) -> float:
    """The long-run variance of the groups' relative rates, per minute, beyond what chance explains."""
    minutes = len(sums.requests) - 1
    if minutes < FEWEST_BLOCKS * block:
        return 0.0
    squares, chance, paired = _moments(sums, block)
    if chance <= 0 or paired <= 0:
        return 0.0
    ratio = squares / chance
    error = math.sqrt(2 / (EFFECTIVE * minutes / block))
    if ratio < 1 + SIGNIFICANT * error:
        return 0.0
    return block * max(0.0, ratio * (1 + CAUTION * error) - 1) * chance / paired


def _moments(sums: "_Sums", block: int) -> tuple[float, float, float]:
    """Sums over overlapping blocks: squared departures of the share, what chance explains of them, and the expected
    informative failures squared (without the square that chance adds to a count).
    """
    squares, chance, paired = [], [], []
    for n, x, m, y in sums.blocks(block, max(1, block // 4)):
        bad = x + y
        share = n / (n + m)
        apart = share * (1 - share)
        squares.append((x - share * bad) ** 2)
        chance.append(bad * apart)
        paired.append(max(0.0, bad * (bad - 1)) * apart * apart)
    return math.fsum(squares), math.fsum(chance), math.fsum(paired)


def _burst(sums: "_Sums", block: int, rate: float) -> float:
    """The most that a group had beyond its share in one block, where chance does not explain it, in minutes' worth."""
    worst = 0.0
    for n, x, m, y in sums.blocks(block, 1):
        expected = n / (n + m) * (x + y)
        beyond = x - expected - BURST_ERRORS
        if beyond > 0 and beyond > BURST_STANDS_OUT * math.sqrt(expected * m / (n + m)):
            worst = max(worst, (x - n * rate) * block / (n * rate))
    return worst


class _Sums(NamedTuple):
    """Running sums of the minutes' columns, from 0."""

    requests: Sequence[float]
    bad: Sequence[float]
    rest_requests: Sequence[float]
    rest_bad: Sequence[float]

    def blocks(self, size: int, step: int) -> Iterator[tuple[float, float, float, float]]:
        for start in range(0, len(self.requests) - size, step):
            end = start + size
            yield (
                self.requests[end] - self.requests[start],
                self.bad[end] - self.bad[start],
                self.rest_requests[end] - self.rest_requests[start],
                self.rest_bad[end] - self.rest_bad[start],
            )


def _running(minutes: Sequence[Pair]) -> _Sums:
    columns = zip(*minutes, strict=True) if minutes else ((), (), (), ())
    return _Sums(*(tuple(accumulate(column, initial=0.0)) for column in columns))


def _sound(pair: Pair) -> bool:
    return all(0 <= value < MOST_COUNTED for value in pair) and pair[0] > 0 and pair[2] > 0 and pair[1] <= pair[0]
