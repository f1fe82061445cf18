"""What groups of one version beside each other teach about noise, and how often the judge is wrong about them.

None of the groups is worse, so whoever is rolled back is rolled back by mistake: replaying the judge over such a past
measures the promise instead of trusting it. Noise is learnt on one half of the time and measured on the other, both
ways, as what was learnt fits its own past too well.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from analysis.dispersion import Pair, learn
from analysis.evidence import Reading, log_worse, update
from models.equals import EqualsRate
from models.evidence import UNKNOWN, Evidence, EvidenceSpec, Noise

WATCH_SECONDS = 3600.0
"""A rollout's watch, as long as those of the benchmark."""
SHORTEST_WATCH = 5
"""In minutes: what was cut off shorter shows nothing, and would flatter the rate."""
WHOLE_PAST = 480.0
"""Minutes from which the longest blocks that noise is looked for in are enough of them to show it."""
FEWEST_BAD = 30.0
"""Bad requests, below which their sharing shows chance alone."""
UNLIKELY = 0.025
"""How often a judge that keeps its promise may be said to break it. One mistake in a dozen watches is no proof of that,
though Wilson's interval, which is none of few watches, would leave the promise out.
"""
Z95 = 1.959963984540054

_MINUTE = 60.0


class Minute(NamedTuple):
    """`at`: when it began, in seconds since the epoch."""

    at: float
    pair: Pair


class Period(NamedTuple):
    """One group of instances beside the rest of the same version, minute by minute in the order of time."""

    name: str
    minutes: tuple[Minute, ...]


class Sums(NamedTuple):
    minutes: float
    requests: float
    bad: float


class Standing(StrEnum):
    """Whether a share is at most what was promised, as far as its interval tells."""

    KEPT = "kept"
    BROKEN = "broken"
    OPEN = "open"


def learnt(periods: Sequence[Period]) -> Noise:
    """What the periods teach. Where they are too little, not less than what is assumed without a past."""
    if total(periods).bad < FEWEST_BAD:
        return UNKNOWN
    noise = learn([minute.pair for period in periods for minute in period.minutes])
    if noise.minutes >= WHOLE_PAST:
        return noise
    return noise.model_copy(update={"own": max(noise.own, UNKNOWN.own), "spell": 0.0, "swing": 0.0})


def total(periods: Iterable[Period]) -> Sums:
    pairs = [minute.pair for period in periods for minute in period.minutes]
    return Sums(
        minutes=float(len(pairs)),
        requests=math.fsum(pair.requests + pair.rest_requests for pair in pairs),
        bad=math.fsum(pair.bad + pair.rest_bad for pair in pairs),
    )


def halves(periods: Sequence[Period]) -> tuple[tuple[Period, ...], tuple[Period, ...]]:
    """What was before and after the middle of the time, of every group alike: what befell all is in one half only."""
    times = [minute.at for period in periods for minute in period.minutes]
    middle = median(times) if times else 0.0
    early = (Period(each.name, tuple(one for one in each.minutes if one.at < middle)) for each in periods)
    late = (Period(each.name, tuple(one for one in each.minutes if one.at >= middle)) for each in periods)
    return tuple(each for each in early if each.minutes), tuple(each for each in late if each.minutes)


def watches(period: Period) -> Iterator[tuple[Minute, ...]]:
    """A period cut as rollouts would watch it, an hour each. A rest of a few minutes is no watch."""
    watch: list[Minute] = []
    for minute in period.minutes:
        if watch and minute.at - watch[0].at >= WATCH_SECONDS:
            if len(watch) >= SHORTEST_WATCH:
                yield tuple(watch)
            watch = []
        watch.append(minute)
    if len(watch) >= SHORTEST_WATCH:
        yield tuple(watch)


def trials(periods: Iterable[Period], spec: EvidenceSpec, noise: Noise) -> Iterator[bool]:
    """Of each watch in turn, whether the judge would have rolled the group back."""
    for period in periods:
        for watch in watches(period):
            yield is_rolled_back(watch, spec, noise)


def crossed_trials(periods: Sequence[Period], spec: EvidenceSpec) -> Iterator[bool]:
    """The same with the noise that the other half of the time taught."""
    early, late = halves(periods)
    yield from trials(early, spec, learnt(late))
    yield from trials(late, spec, learnt(early))


def is_rolled_back(watch: Iterable[Minute], spec: EvidenceSpec, noise: Noise) -> bool:
    """Whether evidence ever reaches what `analysis.verdicts.decide` asks of one metric; all that it says besides would
    take most of the time.
    """
    needed = math.log(1 / spec.alpha)
    evidence = Evidence()
    for minute in watch:
        evidence = update(evidence, Reading(_MINUTE, *minute.pair), spec, noise)
        if log_worse(evidence) >= needed:
            return True
    return False


def rate_of(outcomes: Iterable[bool]) -> EqualsRate:
    each = tuple(outcomes)
    low, high = wilson(sum(each), len(each))
    return EqualsRate(rolled_back=sum(each), watches=len(each), low=low, high=high)


def standing(rate: EqualsRate, promised: float) -> Standing:
    if rate.high <= promised:
        return Standing.KEPT
    by_luck = _at_least(rate.rolled_back, rate.watches, promised)
    return Standing.BROKEN if by_luck <= UNLIKELY else Standing.OPEN


def watches_needed(promised: float) -> int:
    """How many watches show that the promise is kept, if none of them is rolled back."""
    return math.ceil(Z95**2 * (1 - promised) / promised)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share; of nothing, that it is anything.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if of <= 0:
        return 0.0, 1.0
    share, spread = hits / of, Z95**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < of else 1.0


def _at_least(hits: int, of: int, share: float) -> float:
    """How often so many or more of independent trials succeed; by logarithms, as binomial coefficients are huge."""
    ways = math.lgamma(of + 1)
    fewer = (
        ways
        - math.lgamma(each + 1)
        - math.lgamma(of - each + 1)
        + each * math.log(share)
        + (of - each) * math.log1p(-share)
        for each in range(hits)
    )
    return 1 - math.fsum(map(math.exp, fewer))
