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
SIGNIFICANT = 1.75
"""Standard errors by which an excess must stand out to be one: chance alone shows a smaller one often."""
CAUTION = 0.5
"""Standard errors that are added to an excess that stands out, as its estimate may be too small."""
SWING_CAUTION = 0.25
"""The same for how far groups are apart at any moment, which all blocks together tell."""
EFFECTIVE = 1.4
"""Overlapping blocks tell as much as so many times their number side by side."""
BURST_BLOCKS = (1, 5)
BURST_ERRORS, BURST_STANDS_OUT = 3.0, 4.5
"""Bad requests, and deviations of chance, beyond which a block of a day's minutes is a burst."""
BURST_STANDS_OUT_OF_WANDERING = 7.0
SPELLS = (0.5, 0.75, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 16.0, 25.0)
"""Minutes for which a departure may last."""
AS_WELL = 1.0
"""By how much the squared misfit of a spell may be beyond that of the best one."""
ANSCOMBE = 0.375
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
    bursts, calm = _without_bursts(minutes)
    blocks = _blocks(_running(calm))
    spell, swing = _departures(blocks)
    sums = _running(minutes)
    return Noise(
        own=max((each.cautious for each in blocks if each.stands_out), default=0.0),
        spell=spell,
        swing=swing,
        burst=max(_burst(sums, block, bad / requests) for block in BURST_BLOCKS),
        bursts=(bursts + 1) / len(minutes) if bursts else 0.0,
        rate=bad / requests,
        minutes=float(len(minutes)),
    )


def over_dispersion(history: Sequence[Pair], block: int) -> float:
    """How many times as much as by chance the share of failures moves, in blocks of so many minutes; 1 if unknown."""
    squares, chance, _ = _moments(_running([pair for pair in history if _sound(pair)]), block)
    return squares / chance if chance > 0 else 1.0


def _without_bursts(minutes: Sequence[Pair]) -> tuple[int, list[Pair]]:
    """How many minutes have a burst of the group, and the minutes with its usual failures in their place.

    A burst stands out of both chance and the wandering that other minutes show, on the scale of square roots, where
    counts vary alike whatever their mean.
    """
    roots = [_root_excess(pair) for pair in minutes]
    ranked = sorted(roots)
    middle, low, high = (ranked[int(share * (len(ranked) - 1))] for share in (0.5, 0.16, 0.84))
    wandering = max(0.0, ((high - low) / 2) ** 2 - 1)
    limit = math.sqrt(BURST_STANDS_OUT**2 + BURST_STANDS_OUT_OF_WANDERING**2 * wandering)
    calm, bursts = [], 0
    for pair, root in zip(minutes, roots, strict=True):
        usual = pair.requests * pair.rest_bad / pair.rest_requests
        if root - middle > limit and pair.bad > usual + BURST_ERRORS:
            bursts += 1
            calm.append(pair._replace(bad=usual))
        else:
            calm.append(pair)
    return bursts, calm


def _root_excess(pair: Pair) -> float:
    scale = pair.requests / pair.rest_requests
    apart = math.sqrt(pair.bad + ANSCOMBE) - math.sqrt(pair.rest_bad * scale + ANSCOMBE)
    return 2 * apart / math.sqrt(1 + scale)


def _departures(blocks: Sequence["_Block"]) -> tuple[float, float]:
    """For how long the groups are apart, and how far, where blocks of several lengths agree on both.

    Within a spell departures are alike, so blocks shorter than it show less than the long-run variance. Of the spells
    that explain all blocks nearly as well as any, the shortest is taken: it makes early evidence the weakest.
    """
    if not any(each.stands_out for each in blocks):
        return 0.0, 0.0
    fits = [(_fitted(blocks, spell), spell) for spell in SPELLS]
    least = min(fit.misfit for fit, _ in fits)
    fit, spell = next((fit, spell) for fit, spell in fits if fit.misfit <= least + AS_WELL)
    long_run = fit.long_run + SWING_CAUTION * fit.error
    return (spell, math.sqrt(long_run / (2 * spell))) if long_run > 0 else (0.0, 0.0)


class _Block(NamedTuple):
    minutes: int
    excess: float
    error: float
    cautious: float
    stands_out: bool


class _Fit(NamedTuple):
    long_run: float
    error: float
    misfit: float


def _fitted(blocks: Sequence[_Block], spell: float) -> _Fit:
    """The long-run variance by which departures of that spell explain the blocks best, by least squares."""
    shown = [1 - spell / each.minutes * -math.expm1(-each.minutes / spell) for each in blocks]
    weight = math.fsum((share / each.error) ** 2 for share, each in zip(shown, blocks, strict=True))
    long_run = math.fsum(s * each.excess / each.error**2 for s, each in zip(shown, blocks, strict=True)) / weight
    misfit = math.fsum(
        ((each.excess - long_run * share) / each.error) ** 2 for share, each in zip(shown, blocks, strict=True)
    )
    return _Fit(long_run, 1 / math.sqrt(weight), misfit)


def _blocks(sums: "_Sums") -> list[_Block]:
    return [each for block in BLOCKS if (each := _excess(sums, block)) is not None]


def _excess(sums: "_Sums", block: int) -> _Block | None:
    """The long-run variance of the groups' relative rates, per minute, beyond what chance explains."""
    minutes = len(sums.requests) - 1
    if minutes < FEWEST_BLOCKS * block:
        return None
    squares, chance, paired = _moments(sums, block)
    if chance <= 0 or paired <= 0:
        return None
    ratio = squares / chance
    error = math.sqrt(2 / (EFFECTIVE * minutes / block))
    scale = block * chance / paired
    return _Block(
        minutes=block,
        excess=(ratio - 1) * scale,
        error=error * max(1.0, ratio) * scale,
        cautious=max(0.0, ratio * (1 + CAUTION * error) - 1) * scale,
        stands_out=ratio >= 1 + SIGNIFICANT * error,
    )


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
