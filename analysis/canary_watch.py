"""Watching a candidate tick by tick: what is known so far, and whether that is enough for a verdict."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from analysis.change_watch import alarm, observe
from analysis.comparison import begun, compared, judged
from analysis.crash_guard import crash_loop, looked
from analysis.judgement import NOT_MEASURED, Measured, judge, rule_seen
from analysis.metrics import add, increase_of, merged, quantile_ms
from analysis.readings import both_since
from analysis.trail import Trail
from models.counters import Counters, MetricSnapshot
from models.deployment import Instances
from models.evidence import Comparison, Decision, Judgement, Pooled
from models.evidence_trail import TrailSample
from models.ids import Group, group_words, is_baseline, version_of
from models.judgement import Outcome, QueryState, Verdict, VersionHealth, Watch, WatchProgress


class CanaryWatch:
    """Takes snapshots and the time between them; gives a verdict as soon as there is one.

    `progress` is all that another worker needs to go on. Time without metrics never counts as watched: it brings
    no verdict nearer but the inconclusive one.
    """

    def __init__(self, watch: Watch, progress: WatchProgress) -> None:
        self._watch = watch
        self.progress = progress
        self._earlier = _cut(watch.comparison)
        self._window: deque[tuple[timedelta, Counters, Counters]] = deque()
        self._trail = Trail(watch, self._at)
        self._samples: list[TrailSample] = []

    def looked(self, instances: Instances) -> None:
        """Account for one look at the service's instances, to be done before the reading of the same moment."""
        crashes, watch = self.progress.crashes, self._watch
        spec = watch.judge.crash_loop
        after = looked(crashes, instances, spec, candidate=watch.candidate, stable=watch.stable, at=self._at)
        self._update(crashes=after)

    def saw(
        self, snapshot: MetricSnapshot, measured: Mapping[str, Measured] | None = None, *, elapsed: timedelta
    ) -> Verdict | None:
        """Account for one reading, and for what each query rule measured, by its name.

        `elapsed` is the time since the reading before, or since the watch began.
        """
        before = self.progress.last
        candidate, stable = Counters(), Counters()
        if before is not None:
            candidate = self._increase(before, snapshot, self._watch.candidate)
            stable = self._increase(before, snapshot, self._watch.stable)
            self._hold_against_its_past(candidate, elapsed)
        self._window.append((elapsed, candidate, stable))
        while sum((span for span, _, _ in self._window), timedelta()) - self._window[0][0] >= self._watch.judge.window:
            self._window.popleft()

        recent = add(*(counts for _, counts, _ in self._window))
        beside = add(*(counts for _, _, counts in self._window))
        total = add(self.progress.total, candidate)
        queries = self._queried(measured or {})
        verdict = judge(self._watch.judge, window=recent, total=total, measured=queries)
        of_stable = judge(self._watch.judge, window=beside, total=beside)
        if of_stable.outcome is Outcome.UNHEALTHY:  # what it does is no measure, so nothing is weighed meanwhile
            self._update(compared=None, uncompared=timedelta())
        else:
            self._compare(snapshot, elapsed, (candidate, stable))
        span = sum((span for span, _, _ in self._window), timedelta())
        self._update(
            watched=self.progress.watched + elapsed,
            last=merged(before, snapshot),
            total=total,
            candidate=_health(recent, span),
            stable=_health(beside, span),
            findings=verdict.findings,
            queries=queries,
            ticks=self.progress.ticks + 1,
            gap=timedelta(),
            problem=None,
        )
        if before is not None:
            self._sample(snapshot.taken_at, elapsed, candidate, stable if self._watch.stable else None)
        return self._decide(verdict, of_stable)

    def missed(self, problem: str, *, at: datetime, elapsed: timedelta) -> Verdict | None:
        """Account for a reading that failed."""
        self._update(
            blind=self.progress.blind + elapsed,
            gap=self.progress.gap + elapsed,
            uncompared=self.progress.uncompared + elapsed,
            ticks=self.progress.ticks + 1,
            problem=problem,
        )
        self._sample(at, elapsed, None, None)
        gap, overtime = self.progress.gap.total_seconds(), self._overtime.total_seconds()
        late = f", after {overtime:.0f} s more than its time" if overtime else ""
        return self._crashed() or self._give_up(f"no metrics for {gap:.0f} s{late}: {problem}")

    def _queried(self, measured: Mapping[str, Measured]) -> dict[str, QueryState]:
        states, rules = self.progress.queries, self._watch.judge.queries
        return states | {
            rule.name: rule_seen(states.get(rule.name, NOT_MEASURED), rule, measured[rule.name])
            for rule in rules
            if rule.name in measured
        }

    @property
    def _at(self) -> timedelta:
        return self.progress.watched + self.progress.blind

    def samples(self) -> tuple[TrailSample, ...]:
        """The samples that are due since this was last asked."""
        due, self._samples = tuple(self._samples), []
        return due

    def _sample(self, at: datetime, elapsed: timedelta, candidate: Counters | None, stable: Counters | None) -> None:
        sample = self._trail.saw(at, elapsed, candidate, stable, self.progress.judgement, self.progress.problem)
        if sample:
            self._samples.append(sample)

    @property
    def comparison(self) -> Comparison:
        return self.progress.comparison or self._earlier

    def _compare(self, snapshot: MetricSnapshot, elapsed: timedelta, newly: tuple[Counters, Counters]) -> None:
        """Weigh what both versions counted since they were last seen together: mostly what they `newly` did."""
        spec, candidate, stable = self._watch.judge.compare, self._watch.candidate, self._watch.stable
        if not spec.enabled or stable is None:
            return
        past = snapshot.versions.get(version_of(stable))
        comparison = begun(self.comparison, spec, past.latency if past else None)
        since = self.progress.compared or self.progress.last
        took = self.progress.uncompared + elapsed
        both = both_since(since, snapshot, candidate, stable, newly=None if self.progress.compared else newly)
        if both is None:
            waiting = since is not None
            self._update(comparison=comparison, compared=since, uncompared=took if waiting else timedelta())
            return
        of_candidate, of_stable = both
        comparison = compared(comparison, spec, seconds=took.total_seconds(), candidate=of_candidate, stable=of_stable)
        self._update(
            comparison=comparison,
            compared=None,
            uncompared=timedelta(),
            judgement=judged(comparison, spec, candidate=candidate, stable=group_words(stable)),
        )

    def _hold_against_its_past(self, candidate: Counters, elapsed: timedelta) -> None:
        usual, spec = self._watch.usual, self._watch.judge.after_promotion.change
        if usual:
            seconds = elapsed.total_seconds()
            change = observe(self.progress.change, seconds, candidate.requests, candidate.errors, spec, usual)
            self._update(change=change)

    def _decide(self, verdict: Verdict, of_stable: Verdict) -> Verdict | None:
        if usual := self._watch.usual:
            change = self._watch.judge.after_promotion.change
            turned_bad = alarm(self.progress.change, change, usual, self._watch.candidate)
            return self._concluded(Outcome.UNHEALTHY, turned_bad) if turned_bad else None
        if crashed := self._crashed():
            return crashed
        judgement = self.progress.judgement
        if verdict.outcome is Outcome.UNHEALTHY:
            return self._carrying(verdict)
        if judgement and judgement.decision is Decision.ROLL_BACK:
            return self._concluded(Outcome.UNHEALTHY, judgement.reason)
        bake = self._watch.bake
        if bake is None or self.progress.watched < bake:
            return None
        if verdict.outcome is not Outcome.HEALTHY:
            return self._give_up(verdict.reason)
        if of_stable.outcome is Outcome.UNHEALTHY:
            return self._give_up(_sick(self._watch, of_stable))
        if self._watch.proof and not _proven(judgement):
            return self._give_up(judgement.reason if judgement else "the two versions could not be compared")
        reason = verdict.reason if judgement is None else f"{verdict.reason}; {_told(judgement)}"
        return self._carrying(verdict.model_copy(update={"reason": reason}))

    def _crashed(self) -> Verdict | None:
        spec = self._watch.judge.crash_loop
        reason = crash_loop(self.progress.crashes, spec, self._watch.candidate, at=self._at)
        return self._concluded(Outcome.UNHEALTHY, reason) if reason else None

    def _give_up(self, reason: str) -> Verdict | None:
        """Readings missed now and then cost no patience: only the gap that lasts yet, and what comes after the bake."""
        if self._watch.bake is None or self._overtime + self.progress.gap < self._watch.judge.patience:
            return None
        return self._concluded(Outcome.INCONCLUSIVE, reason)

    @property
    def _overtime(self) -> timedelta:
        """How much longer than its bake it was watched."""
        bake, watched = self._watch.bake, self.progress.watched
        return timedelta() if bake is None else max(timedelta(), watched - bake)

    def _concluded(self, outcome: Outcome, reason: str) -> Verdict:
        total = self.progress.total
        return self._carrying(
            Verdict(
                outcome=outcome,
                reason=reason,
                requests=total.requests,
                errors=total.errors,
                findings=self.progress.findings,
            )
        )

    def _carrying(self, verdict: Verdict) -> Verdict:
        return verdict.model_copy(update={"comparison": self.progress.comparison})

    def _update(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)

    def _increase(self, before: MetricSnapshot, after: MetricSnapshot, group: Group | None) -> Counters:
        if group is None:
            return Counters()
        return increase_of(group, before, after, is_new=group == self._watch.candidate or is_baseline(group))


def _cut(comparison: Comparison) -> Comparison:
    """Without what was counted at the weight of the watch before, and not weighed yet: it had other shares."""
    return comparison.model_copy(
        update={
            "errors": comparison.errors.model_copy(update={"pooled": Pooled()}),
            "slow": comparison.slow.model_copy(update={"pooled": Pooled()}),
        }
    )


def _proven(judgement: Judgement | None) -> bool:
    return judgement is not None and judgement.decision is Decision.PROMOTE


def _told(judgement: Judgement) -> str:
    return "; ".join(finding.text for finding in judgement.findings)


def _sick(watch: Watch, of_stable: Verdict) -> str:
    measure = group_words(watch.stable) if watch.stable else "the stable version"
    return f"{measure} itself is not well ({of_stable.reason}), so {watch.candidate} cannot be measured by it"


def _health(counts: Counters, span: timedelta) -> VersionHealth:
    seconds = span.total_seconds()
    return VersionHealth(
        requests=counts.requests,
        errors=counts.errors,
        requests_per_second=round(counts.requests / seconds, 1) if seconds > 0 else 0.0,
        p95_ms=quantile_ms(counts.latency, 0.95),
    )
