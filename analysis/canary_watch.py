"""Watching a candidate tick by tick: what is known so far, and whether that is enough for a verdict."""

from collections import deque
from collections.abc import Iterable
from datetime import timedelta

from analysis.judgement import judge
from analysis.metrics import add, increase_of, merged, quantile_ms
from models.judgement import (
    Counters,
    MetricSnapshot,
    Outcome,
    Verdict,
    VersionHealth,
    Watch,
    WatchProgress,
)


class CanaryWatch:
    """Takes snapshots and the time between them; gives a verdict as soon as there is one.

    `progress` is all that another worker needs to go on. Time without metrics never counts as watched: it brings
    no verdict nearer but the inconclusive one.
    """

    def __init__(self, watch: Watch, progress: WatchProgress) -> None:
        self._watch = watch
        self.progress = progress
        self._window: deque[tuple[timedelta, Counters, Counters]] = deque()

    def saw(self, snapshot: MetricSnapshot, *, elapsed: timedelta) -> Verdict | None:
        """Account for one reading. `elapsed` is the time since the one before, or since the watch began."""
        before = self.progress.last
        candidate, stable = Counters(), Counters()
        if before is not None:
            candidate = self._increase(before, snapshot, self._watch.candidate)
            stable = self._increase(before, snapshot, self._watch.stable)
        self._window.append((elapsed, candidate, stable))
        while sum((span for span, _, _ in self._window), timedelta()) - self._window[0][0] >= self._watch.judge.window:
            self._window.popleft()

        recent = _sum(counts for _, counts, _ in self._window)
        total = add(self.progress.total, candidate)
        verdict = judge(self._watch.judge, window=recent, total=total)
        span = sum((span for span, _, _ in self._window), timedelta())
        self.progress = self.progress.model_copy(
            update={
                "watched": self.progress.watched + elapsed,
                "last": merged(before, snapshot),
                "total": total,
                "candidate": _health(recent, span),
                "stable": _health(_sum(counts for _, _, counts in self._window), span),
                "findings": verdict.findings,
                "ticks": self.progress.ticks + 1,
                "problem": None,
            }
        )
        return self._decide(verdict)

    def missed(self, problem: str, *, elapsed: timedelta) -> Verdict | None:
        """Account for a reading that failed."""
        self.progress = self.progress.model_copy(
            update={
                "blind": self.progress.blind + elapsed,
                "ticks": self.progress.ticks + 1,
                "problem": problem,
            }
        )
        return self._give_up(f"no metrics for {self.progress.blind.total_seconds():.0f} s: {problem}")

    def _decide(self, verdict: Verdict) -> Verdict | None:
        if verdict.outcome is Outcome.UNHEALTHY:
            return verdict
        bake = self._watch.bake
        if bake is None or self.progress.watched < bake:
            return None
        if verdict.outcome is Outcome.HEALTHY:
            return verdict
        return self._give_up(verdict.reason)

    def _give_up(self, reason: str) -> Verdict | None:
        bake = self._watch.bake
        if bake is None:
            return None
        overtime = max(timedelta(), self.progress.watched - bake) + self.progress.blind
        if overtime < self._watch.judge.patience:
            return None
        total = self.progress.total
        return Verdict(
            outcome=Outcome.INCONCLUSIVE,
            reason=reason,
            requests=total.requests,
            errors=total.errors,
            findings=self.progress.findings,
        )

    @staticmethod
    def _increase(before: MetricSnapshot, after: MetricSnapshot, version: str | None) -> Counters:
        if version is None:
            return Counters()
        return increase_of(version, before, after)


def _sum(parts: Iterable[Counters]) -> Counters:
    total = Counters()
    for part in parts:
        total = add(total, part)
    return total


def _health(counts: Counters, span: timedelta) -> VersionHealth:
    seconds = span.total_seconds()
    return VersionHealth(
        requests=counts.requests,
        errors=counts.errors,
        requests_per_second=round(counts.requests / seconds, 1) if seconds > 0 else 0.0,
        p95_ms=quantile_ms(counts.latency, 0.95),
    )
