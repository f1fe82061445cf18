"""Plain thresholds: holds a candidate's counts against the catalog's rules.

The function is total: whatever the counts, it returns a verdict, and without enough requests that verdict is
never healthy or unhealthy.
"""

from datetime import timedelta
from typing import assert_never

from analysis.metrics import quantile_ms
from models.judgement import (
    Counters,
    ErrorRateRule,
    Finding,
    JudgeSpec,
    LatencyRule,
    Outcome,
    Rule,
    Verdict,
)
from models.quantities import format_percent


def judge(spec: JudgeSpec, *, window: Counters, total: Counters) -> Verdict:
    """Judge the recent window where it holds enough requests, else everything seen since the step began."""
    judged = window if window.requests >= spec.min_requests else total
    findings = tuple(examine(rule, judged) for rule in spec.rules)
    if judged.requests < spec.min_requests:
        outcome, reason = (
            Outcome.INCONCLUSIVE,
            f"only {judged.requests} of the {spec.min_requests} requests that a judgement needs",
        )
    elif breaches := [finding for finding in findings if finding.breached]:
        outcome = Outcome.UNHEALTHY
        reason = "; ".join(f"{f.metric} is {f.observed}, allowed is {f.limit}" for f in breaches)
        reason += f" ({judged.errors} errors in {judged.requests} requests)"
    else:
        outcome, reason = Outcome.HEALTHY, f"every rule held over {judged.requests} requests"
    return Verdict(outcome=outcome, reason=reason, requests=judged.requests, errors=judged.errors, findings=findings)


def examine(rule: Rule, counts: Counters) -> Finding:
    """Hold one rule against counts. Nothing observed is not a breach."""
    match rule:
        case ErrorRateRule():
            rate = 100 * counts.errors / counts.requests if counts.requests > 0 else None
            return Finding(
                metric=rule.metric,
                observed=None if rate is None else format_percent(round(rate, 2)),
                limit=format_percent(rule.at_most),
                breached=rate is not None and rate > rule.at_most,
            )
        case LatencyRule():
            observed = quantile_ms(counts.latency, rule.quantile)
            limit = rule.at_most / timedelta(milliseconds=1)
            return Finding(
                metric=rule.metric,
                observed=None if observed is None else f"{observed:.0f} ms",
                limit=f"{limit:.10g} ms",
                breached=observed is not None and observed > limit,
            )
    assert_never(rule)
