"""What is to be drawn of a rollout: numbers over seconds, without any drawing."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from models.evidence import MetricEvidence
from models.evidence_trail import TrailSample, VersionSample
from models.ids import group_words, is_baseline
from models.mistakes import MistakeError
from models.quantities import parse_percent
from models.record import RolloutRecord
from models.rollout import Phase

GAP = math.nan
"""A value that is not known: the line is interrupted."""

LEAST_EVIDENCE, MOST_EVIDENCE = 1e-3, 1e6
"""What is less, or more, is drawn at the edge."""

_SMOOTHED_OVER = 0.05
"""Rates are of this share of the time shown: of a second's five requests none or 20% fail, which tells nobody much."""

_LONGEST_MS = 1e9

_LATE = timedelta(seconds=1.5)
"""A sample that begins later than this after the one before it leaves a gap between them."""


@dataclass(frozen=True)
class Line:
    """Seconds and values. NaN interrupts it."""

    at: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def empty(self) -> bool:
        return all(math.isnan(value) for value in self.values)


@dataclass(frozen=True)
class Moment:
    """A turning point of the rollout."""

    at: float
    name: str


class Trail:
    """A rollout's record and samples. Times are seconds since the candidate first had traffic, if it had."""

    def __init__(self, record: RolloutRecord, samples: Iterable[TrailSample]) -> None:
        self.record = record
        self.samples = tuple(sorted(samples, key=lambda sample: sample.at))
        began = self._began(self.samples[0]) if self.samples else record.started_at
        self._zero = record.exposed_at or began
        self.moments = tuple(self._moments())
        known = [moment.at for moment in self.moments]
        self.begins = min([0.0, *known, *(self._seconds(self._began(each)) for each in self.samples[:1])])
        self.ends = max([0.0, *known, *(self._seconds(each.at) for each in self.samples)])
        if self.ends - self.begins < 1.0:
            self.ends = self.begins + 1.0

    @property
    def stable(self) -> str | None:
        """What the candidate was held against, as people speak of it."""
        compared = next((each.stable for each in self.samples if each.stable), None)
        return group_words(compared) if compared and is_baseline(compared) else self.record.stable_before or compared

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.metric for sample in self.samples for each in sample.evidence))

    def weight(self) -> Line:
        """The candidate's, to be drawn in steps: what the timeline says, and what the samples saw."""
        points = self._weights_told()
        for sample in self.samples:
            begins, ends = self._seconds(self._began(sample)), self._seconds(sample.at)
            points += [(at, sample.weight) for at in (begins, ends) if not self._over(at)]
        points.sort(key=lambda point: point[0])
        if points:
            points.append((self.ends, points[-1][1]))
        return Line(tuple(at for at, _ in points), tuple(weight for _, weight in points))

    def error_rate(self, of: Callable[[TrailSample], VersionSample]) -> Line:
        """In percent, over the last moments; unknown while nothing is asked."""
        return self._line(lambda index: self._rate(index, of))

    def p95(self, of: Callable[[TrailSample], VersionSample]) -> Line:
        """In milliseconds."""
        return self._line(lambda index: _duration(of(self.samples[index]).p95_ms))

    def worse(self, metric: str) -> Line:
        return self._evidence(metric, lambda evidence: evidence.worse)

    def worse_needed(self, metric: str) -> Line:
        return self._evidence(metric, lambda evidence: evidence.worse_needed)

    def fine(self, metric: str) -> Line:
        return self._evidence(metric, lambda evidence: evidence.fine)

    def fine_needed(self, metric: str) -> Line:
        return self._evidence(metric, lambda evidence: evidence.fine_needed)

    def unseen(self) -> list[tuple[float, float]]:
        """When nothing could be read, from and until."""
        spans: list[tuple[float, float]] = []
        for sample in self.samples:
            if sample.problem is not None:
                begins, ends = self._seconds(self._began(sample)), self._seconds(sample.at)
                if spans and begins - spans[-1][1] <= _LATE.total_seconds():
                    begins = spans.pop()[0]
                spans.append((begins, ends))
        return spans

    def _moments(self) -> Iterable[Moment]:
        record = self.record
        if record.exposed_at:
            yield Moment(0.0, "exposed")
        if record.decided_at:
            yield Moment(self._seconds(record.decided_at), "decided")
        if record.off_at and record.exposed_at:
            yield Moment(self._seconds(record.off_at), "off")
        if promoted := self._promoted_at():
            yield Moment(self._seconds(promoted), "promoted")

    def _promoted_at(self) -> datetime | None:
        text = f"{self.record.version} is promoted"
        told = next((entry.at for entry in self.record.timeline if entry.text == text), None)
        return told or (self.record.ended_at if self.record.phase is Phase.PROMOTED else None)

    def _weights_told(self) -> list[tuple[float, float]]:
        told = []
        for entry in self.record.timeline:
            who, _, weight = entry.text.partition(" receives ")
            if who == self.record.version and weight:
                try:
                    told.append((self._seconds(entry.at), parse_percent(weight)))
                except MistakeError:
                    continue
        if self.record.off_at and self.record.exposed_at:
            told.append((self._seconds(self.record.off_at), 0.0))
        if promoted := self._promoted_at():
            told.append((self._seconds(promoted), 100.0))
        return told

    def _over(self, at: float) -> bool:
        """Whether a sample of that time was overtaken: its reading began before the weight was gone."""
        off = self.record.off_at if self.record.exposed_at else None
        return off is not None and at >= self._seconds(off)

    def _line(self, value: Callable[[int], float | None]) -> Line:
        at: list[float] = []
        values: list[float] = []
        for index, sample in enumerate(self.samples):
            if index and self._gap_before(index):
                at.append(self._seconds(self._began(sample)))
                values.append(GAP)
            known = value(index)
            at.append(self._seconds(sample.at))
            values.append(GAP if known is None else known)
        return Line(tuple(at), tuple(values))

    def _evidence(self, metric: str, value: Callable[[MetricEvidence], float | None]) -> Line:
        def of(index: int) -> float | None:
            found = next((each for each in self.samples[index].evidence if each.metric == metric), None)
            known = value(found) if found else None
            return None if known is None else _within(known)

        return self._line(of)

    def _rate(self, index: int, of: Callable[[TrailSample], VersionSample]) -> float | None:
        newest = self.samples[index]
        if of(newest).requests is None:
            return None
        requests = bad = 0
        window = timedelta(seconds=(self.ends - self.begins) * _SMOOTHED_OVER)
        for earlier in range(index, -1, -1):
            sample = self.samples[earlier]
            if newest.at - sample.at > window:
                break
            requests += max(of(sample).requests or 0, 0)
            bad += max(of(sample).bad or 0, 0)
            if self._gap_before(earlier):
                break
        return 100.0 * (min(bad, requests) / requests) if requests else None

    def _gap_before(self, index: int) -> bool:
        return index > 0 and self._began(self.samples[index]) - self.samples[index - 1].at > _LATE

    def _seconds(self, at: datetime) -> float:
        return (at - self._zero).total_seconds()

    def _began(self, sample: TrailSample) -> datetime:
        try:
            return sample.at - timedelta(seconds=max(sample.seconds, 0.0))
        except (OverflowError, ValueError):
            return sample.at


def scattered(line: Line) -> Line:
    """The values that no line shows, as they have no neighbour."""
    padded = (GAP, *line.values, GAP)
    alone = [
        index
        for index, value in enumerate(line.values)
        if not math.isnan(value) and math.isnan(padded[index]) and math.isnan(padded[index + 2])
    ]
    return Line(tuple(line.at[index] for index in alone), tuple(line.values[index] for index in alone))


def levels(line: Line) -> Sequence[float]:
    """The values that a line stays at, each once."""
    known = [value for value in line.values if not math.isnan(value)]
    return [*known[:1], *(after for before, after in pairwise(known) if after != before)]


def _duration(value: float | None) -> float | None:
    return min(value, _LONGEST_MS) if value is not None and math.isfinite(value) and value >= 0 else None


def _within(value: float) -> float:
    return value if math.isnan(value) else min(max(value, LEAST_EVIDENCE), MOST_EVIDENCE)
