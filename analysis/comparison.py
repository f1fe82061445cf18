"""The candidate beside the stable version: from counters to evidence, and from evidence to a judgement."""

from analysis.evidence import update
from analysis.latency_evidence import slow_bound
from analysis.readings import error_reading, slow_reading
from analysis.verdicts import decide
from models.counters import Counters, LatencyHistogram
from models.evidence import UNKNOWN, Comparison, JudgedMetric, Judgement
from models.ids import Version
from models.judge_spec import CompareSpec

ERRORS, SLOW = "errors", "slow requests"


def begun(comparison: Comparison, spec: CompareSpec, past: LatencyHistogram | None) -> Comparison:
    """The comparison with its bound for slow requests, by what the stable version took before."""
    if spec.quantile is None or comparison.slow_bound_ms is not None or past is None:
        return comparison
    return comparison.model_copy(update={"slow_bound_ms": slow_bound(past, spec.quantile)})


def compared(
    comparison: Comparison, spec: CompareSpec, *, seconds: float, candidate: Counters, stable: Counters
) -> Comparison:
    """The comparison after both versions counted so much in so many seconds."""
    evidence = spec.evidence
    errors = update(comparison.errors, error_reading(seconds, candidate, stable), evidence, spec.error_noise)
    if spec.quantile is None:
        return comparison.model_copy(update={"errors": errors})
    reading = slow_reading(seconds, candidate, stable, comparison.slow_bound_ms)
    slow = update(comparison.slow, reading, evidence, UNKNOWN)
    return comparison.model_copy(update={"errors": errors, "slow": slow})


def judged(comparison: Comparison, spec: CompareSpec, *, candidate: Version, stable: Version) -> Judgement:
    """What the evidence says. A metric that could not be read yet has no say either way."""
    evidence = spec.evidence
    errors = JudgedMetric(name=ERRORS, verb="fails", spec=evidence, noise=spec.error_noise, evidence=comparison.errors)
    metrics = [errors]
    if spec.quantile is not None:
        metrics.append(JudgedMetric(name=SLOW, verb="is slow", spec=evidence, evidence=comparison.slow))
    return decide(metrics, alpha=evidence.alpha, candidate=candidate, stable=stable)
