"""What all the evidence comes to, and why, in numbers.

Against the candidate the metrics' evidence is averaged by weight, which holds however much they depend on each other;
for it each must speak by itself, as one metric that is bad is a bad version.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from analysis.bets import log_mean, pay_out, stake
from analysis.evidence import log_fine, log_worse, requests_needed
from models.evidence import (
    Decision,
    Evidence,
    JudgedMetric,
    Judgement,
    MetricFinding,
)

MOST_TOLD = 1_000_000.0
LATE_STANDS_OUT = 1.5
NEARLY_EQUAL, TOLD_WHOLE = 0.05, 10.0


def decide(
    metrics: Sequence[JudgedMetric],
    *,
    alpha: float,
    candidate: str,
    stable: str,
) -> Judgement:
    """What is to be done. `promote` says that the evidence suffices; whether the bake is over is for others to say.

    First of: enough evidence against the candidate, enough for it.
    """
    weights = math.fsum(stake(metric.weight) for metric in metrics)
    found = tuple(_find(metric, weights / alpha, candidate, stable) for metric in metrics)
    findings = tuple(each.finding for each in found)
    against = log_mean((each.worse for each in found), (metric.weight for metric in metrics))
    needed = 1 / alpha
    decision, reason = Decision.GO_ON, _still_needed(found)
    if metrics and against >= math.log(needed):
        decision = Decision.ROLL_BACK
        reason = f"{_loudest(metrics, found)}; evidence {_told(against)}, {needed:,.0f} is needed"
    elif metrics and all(each.is_fine for each in found):
        decision = Decision.PROMOTE
        reason = "; ".join(finding.text for finding in findings) + "; that is good enough"
    return Judgement(
        decision=decision,
        reason=reason,
        evidence=min(MOST_TOLD, pay_out(against)) if metrics else 0.0,
        needed=needed,
        findings=findings,
    )


def compare(evidence: Evidence, verb: str, candidate: str, stable: str) -> str:
    """How often both do it, over the whole watch, or of late where that is much worse."""
    whole = (evidence.candidate_bad, evidence.candidate_requests, evidence.stable_bad, evidence.stable_requests)
    late = (
        evidence.recent_candidate_bad,
        evidence.recent_candidate,
        evidence.recent_stable_bad,
        evidence.recent_stable,
    )
    of_late = min(late[1], late[3]) >= 1 and _ratio(*late) > LATE_STANDS_OUT * max(1.0, _ratio(*whole))
    x, n, y, m = late if of_late else whole
    counts = f"({'about ' if of_late else ''}{x:,.0f} of {n:,.0f} against {y:,.0f} of {m:,.0f})"
    when = "of late " if of_late else ""
    if n <= 0 or m <= 0:
        nothing = " and ".join(name for name, seen in ((candidate, n), (stable, m)) if seen <= 0)
        return f"nothing was seen of {nothing} {counts}"
    if y <= 0 and x <= 0:
        return f"neither {candidate} nor {stable} {verb} {counts}"
    if y <= 0:
        return f"{when}{candidate} {verb} in {x / n:.2%}, {stable} never {counts}"
    return f"{when}{candidate} {verb} {_times(_ratio(x, n, y, m))} as {stable} {counts}"


class _Found(NamedTuple):
    """Of one metric, the logarithm of the evidence against the candidate, whether it is good enough, and in words."""

    worse: float
    is_fine: bool
    finding: MetricFinding


def _find(metric: JudgedMetric, payment: float, candidate: str, stable: str) -> _Found:
    """`payment` is what a bet on this metric must pay by itself, for each unit of its weight."""
    worse, fine = log_worse(metric.evidence), log_fine(metric.evidence)
    missing = requests_needed(metric.evidence, metric.spec, metric.noise)
    finding = MetricFinding(
        metric=metric.name,
        worse=min(MOST_TOLD, pay_out(worse)),
        worse_needed=payment / stake(metric.weight) if stake(metric.weight) > 0 else None,
        fine=min(MOST_TOLD, pay_out(fine)),
        fine_needed=1 / metric.spec.beta,
        requests_needed=None if missing is None else math.ceil(min(missing, 1e15)),
        text=compare(metric.evidence, metric.verb, candidate, stable),
    )
    return _Found(worse, fine >= math.log(1 / metric.spec.beta), finding)


def _times(ratio: float) -> str:
    if abs(ratio - 1) < NEARLY_EQUAL:
        return "as often"
    return f"{ratio:,.1f} times as often" if ratio < TOLD_WHOLE else f"{ratio:,.0f} times as often"


def _ratio(x: float, n: float, y: float, m: float) -> float:
    if n <= 0 or m <= 0 or x <= 0:
        return 0.0
    return x / n / (y / m) if y > 0 else math.inf


def _loudest(metrics: Sequence[JudgedMetric], found: Sequence[_Found]) -> str:
    order = sorted(range(len(metrics)), key=lambda i: (-found[i].worse - _weight(metrics[i]), i))
    return found[order[0]].finding.text


def _weight(metric: JudgedMetric) -> float:
    return math.log(stake(metric.weight)) if stake(metric.weight) > 0 else -math.inf


def _still_needed(found: Sequence[_Found]) -> str:
    if not found:
        return "no metric is judged; name at least one in the catalog"
    open_ones = [each.finding for each in found if not each.is_fine]
    if not open_ones:
        return "; ".join(each.finding.text for each in found)
    return "; ".join(f"{finding.text}, {_missing(finding)}" for finding in open_ones)


def _missing(finding: MetricFinding) -> str:
    if finding.requests_needed is None:
        return "which says nothing yet"
    return f"about {finding.requests_needed:,} more requests are needed to call it good enough"


def _told(log: float) -> str:
    amount = pay_out(log)
    return f"over {MOST_TOLD:,.0f}" if amount > MOST_TOLD else f"{amount:,.0f}"
