"""Plain thresholds: holds a candidate's counts, and what queries found of it, against the catalog's rules.

The functions are total: whatever the counts, there is a verdict. Without enough requests it is never healthy, and
unhealthy only by a query, whose limits are a person's own; nor is it healthy while a query was not answered.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import assert_never

from analysis.metrics import quantile_ms
from models.counters import Counters
from models.judge_spec import ErrorRateRule, JudgeSpec, LatencyRule, QueryRule
from models.judgement import Finding, Outcome, QueryState, Verdict
from models.quantities import format_percent

NOT_MEASURED = QueryState()

Measured = float | Exception | None
"""What a query found, that it could not be asked, or that it found nothing."""


def judge(
    spec: JudgeSpec, *, window: Counters, total: Counters, measured: Mapping[str, QueryState] | None = None
) -> Verdict:
    """Judge the recent window where it holds enough requests, else everything seen since the step began.

    `measured` has what each query found, by the rule's name.
    """
    judged = window if window.requests >= spec.min_requests else total
    states = {rule.name: (measured or {}).get(rule.name, NOT_MEASURED) for rule in spec.queries}
    findings = tuple(
        finding(rule, states[rule.name]) if isinstance(rule, QueryRule) else examine(rule, judged)
        for rule in spec.rules
    )
    queried = {rule.name for rule in spec.queries}
    breaches = [f for f in findings if f.breached and (f.metric in queried or judged.requests >= spec.min_requests)]
    unknown = [text for rule in spec.queries if (text := not_known(rule, states[rule.name]))]
    if breaches:
        outcome = Outcome.UNHEALTHY
        reason = "; ".join(f"{f.metric} is {f.observed}, allowed is {f.limit}" for f in breaches)
        reason += f" ({judged.errors} errors in {judged.requests} requests)"
    elif judged.requests < spec.min_requests:
        outcome, reason = (
            Outcome.INCONCLUSIVE,
            f"only {judged.requests} of the {spec.min_requests} requests that a judgement needs",
        )
    elif unknown:
        outcome, reason = Outcome.INCONCLUSIVE, "; ".join(unknown)
    else:
        outcome, reason = Outcome.HEALTHY, f"every rule held over {judged.requests} requests"
    return Verdict(outcome=outcome, reason=reason, requests=judged.requests, errors=judged.errors, findings=findings)


def rule_seen(state: QueryState, rule: QueryRule, seen: Measured) -> QueryState:
    """Account for one measurement: a number, None where the query found none, or why it could not be made.

    A number that is none (NaN, as 0 errors of 0 requests are, or an infinity) is as good as none at all.
    """
    if isinstance(seen, Exception):
        return state.model_copy(
            update={"consecutive_errors": state.consecutive_errors + 1, "problem": str(seen) or type(seen).__name__}
        )
    answered = state.model_copy(update={"consecutive_errors": 0, "problem": None, "last": None})
    if seen is None or not math.isfinite(seen):
        return answered
    update: dict[str, float] = {"last": seen, "measured": state.measured + 1}
    if not _within(rule, seen):
        update |= {"failures": state.failures + 1, "last_failed": seen}
    return answered.model_copy(update=update)


def finding(rule: QueryRule, state: QueryState) -> Finding:
    """Hold what a query found against its rule, which is breached once it failed more often than a watch bears."""
    limits = (("at least", rule.at_least), ("at most", rule.at_most))
    breached = state.failures > rule.failure_limit
    shown = state.last_failed if breached else state.last
    observed = None if shown is None else f"{shown:.6g}"
    if observed and state.failures:
        times = "once" if state.failures == 1 else f"{state.failures} times"
        observed += f" (failed {times}, {rule.failure_limit} tolerated)"
    return Finding(
        metric=rule.name,
        observed=observed,
        limit=" and ".join(f"{word} {limit:.6g}" for word, limit in limits if limit is not None),
        breached=breached,
    )


def not_known(rule: QueryRule, state: QueryState) -> str | None:
    """Why nothing can be said by this query now, or None where something can."""
    if state.consecutive_errors > rule.consecutive_error_limit:
        return f"{rule.name} could not be measured {state.consecutive_errors} times in a row: {state.problem}"
    if state.measured == 0:
        return f"{rule.name} found no number yet" + (f": {state.problem}" if state.problem else "")
    if state.last is None:
        return f"{rule.name} finds no number any more" + (f": {state.problem}" if state.problem else "")
    return None


def _within(rule: QueryRule, value: float) -> bool:
    above = rule.at_least is None or value >= rule.at_least
    return above and (rule.at_most is None or value <= rule.at_most)


def examine(rule: ErrorRateRule | LatencyRule, counts: Counters) -> Finding:
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
