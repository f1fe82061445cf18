"""What others do with the same traces, written anew from their documented rules. All look at whole minutes.

Kayenta (`NetflixACAJudge`): Mann-Whitney on the two series of per-minute error rates, confidence 98%; the candidate is
"High" when the lower end of the interval for the shift is above a quarter of the Hodges-Lehmann estimate. The metric
is critical and its direction "increase", so that one High fails the canary. Minutes without data are left out. The
interval is the one of R's asymptotic `wilcox.test`, taken from the ordered differences, its variance corrected for
ties. Kayenta's guide asks for at least 50 points; it is given every advantage here: the growing look (all since the
beginning) and the sliding one (the last 30 minutes) begin after 10 minutes and are taken every 5, and its control
series is the whole stable traffic. One look is at the end.

Argo Rollouts: a success condition on the last interval's success rate; over `failureLimit` failures (3 in its guide)
in all fail the rollout, as does a count of them one after another. Flagger: an interval of 1 minute, `threshold` 5
failed checks roll back. Both thresholds stand at twice the usual rate, as one who knows the service would set them.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world import Floats, Traces

Z98 = 2.3263478740408408
TOLERANCE = 0.25
FIRST_LOOK, EVERY, SLIDING = 10, 5, 30
ARGO_FAILURES, ARGO_CONSECUTIVE, FLAGGER_FAILURES = 3, 3, 5
TIMES_USUAL = 2.0


def decide(traces: Traces, usual_rate: float) -> dict[str, Floats]:
    """For each rule the minute, from the beginning, at whose end it rolls back; infinity: never."""
    candidate = _rates(traces, traces.candidate_requests, traces.candidate_bad, traces.candidate_known)
    stable = _rates(traces, traces.stable_requests, traces.stable_bad, traces.stable_known)
    minutes = traces.minutes
    looks = list(range(FIRST_LOOK, minutes + 1, EVERY))
    return {
        "kayenta once": _first_high(candidate, stable, [(0, minutes)]),
        "kayenta growing": _first_high(candidate, stable, [(0, end) for end in looks]),
        "kayenta sliding": _first_high(candidate, stable, [(max(0, end - SLIDING), end) for end in looks]),
        "argo limit": _failed_in_all(candidate, usual_rate * TIMES_USUAL, ARGO_FAILURES + 1),
        "argo consecutive": _failed_running(candidate, usual_rate * TIMES_USUAL, ARGO_CONSECUTIVE),
        "flagger": _failed_in_all(candidate, usual_rate * TIMES_USUAL, FLAGGER_FAILURES),
    }


def is_high(candidate: Floats, stable: Floats) -> NDArray[np.bool_]:
    """Kayenta's rule, a trace a row. NaN: no data in that minute."""
    high = np.zeros(len(candidate), dtype=bool)
    for row, (one, other) in enumerate(zip(candidate, stable, strict=True)):
        x, y = one[~np.isnan(one)], other[~np.isnan(other)]
        if x.size and y.size:
            high[row] = _high(x, y)
    return high


def _high(x: Floats, y: Floats) -> bool:
    differences = np.sort((x[:, None] - y[None, :]).ravel())
    pairs = differences.size
    n = x.size + y.size
    _, ties = np.unique(np.concatenate([x, y]), return_counts=True)
    variance = x.size * y.size / 12 * (n + 1 - float((ties.astype(float) ** 3 - ties).sum()) / (n * max(1, n - 1)))
    rank = int(np.floor(pairs / 2 - 0.5 - Z98 * np.sqrt(max(0.0, variance))))
    if rank < 0:
        return False
    estimate = abs(float(np.median(differences)))
    return float(differences[rank]) > TOLERANCE * estimate


def _first_high(candidate: Floats, stable: Floats, windows: list[tuple[int, int]]) -> Floats:
    found = np.full(len(candidate), np.inf)
    for start, end in windows:
        undecided = np.flatnonzero(np.isinf(found))
        if not undecided.size:
            break
        high = is_high(candidate[undecided, start:end], stable[undecided, start:end])
        found[undecided[high]] = end
    return found


def _failed_in_all(rates: Floats, limit: float, failures: int) -> Floats:
    reached = np.cumsum(rates > limit, axis=1) >= failures
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def _failed_running(rates: Floats, limit: float, failures: int) -> Floats:
    found = np.full(len(rates), np.inf)
    running = np.zeros(len(rates))
    for minute in range(rates.shape[1]):
        rate = rates[:, minute]
        running = np.where(np.isnan(rate), running, np.where(rate > limit, running + 1, 0))
        found = np.where((running >= failures) & np.isinf(found), minute + 1, found)
    return found


def _rates(traces: Traces, requests: Floats, bad: Floats, known: NDArray[np.bool_]) -> Floats:
    shape = (len(requests), traces.minutes, -1)
    n, x = (requests * known).reshape(shape).sum(axis=2), (bad * known).reshape(shape).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, x / n, np.nan)
