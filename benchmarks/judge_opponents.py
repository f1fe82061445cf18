"""What others do with the same traces, written anew from their documented rules. All look at whole minutes.

Kayenta (`NetflixACAJudge`): Mann-Whitney on the two series of per-minute error rates, confidence 98%; the candidate is
"High" when the lower end of the interval for the shift is above a quarter of the Hodges-Lehmann estimate. The metric
is critical and its direction "increase", so that one High fails the canary. Minutes without data are left out. The
interval is the one of R's asymptotic `wilcox.test`, taken from the ordered differences, its variance corrected for
ties. Kayenta's guide asks for at least 50 points; it is given every advantage here: the growing look (all since the
beginning) and the sliding one (the last 30 minutes) begin after 10 minutes and are taken every 5, and its control
series is the whole stable traffic. One look is at the end. Where its repeated looks roll back too many versions that
are not worse, the same rule is also taken with its confidence raised until they do not, by the very cell's traces.

Argo Rollouts: a success condition on the last interval's success rate; over `failureLimit` failures (3 in its guide)
in all fail the rollout, as does a count of them one after another. Flagger: an interval of 1 minute, `threshold` 5
failed checks roll back. Both thresholds stand at twice the usual rate, as one who knows the service would set them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world import Floats, Traces

Z98 = 2.3263478740408408
TOLERANCE = 0.25
FIRST_LOOK, EVERY, SLIDING = 10, 5, 30
ARGO_FAILURES, ARGO_CONSECUTIVE, FLAGGER_FAILURES = 3, 3, 5
TIMES_USUAL = 2.0
MOST_DIFFERENCES = 2_000_000
"""That are held in memory at once."""


def decide(traces: Traces, usual_rate: float) -> dict[str, Floats]:
    """For each rule the minute, from the beginning, at whose end it rolls back; infinity: never."""
    candidate = _rates(traces, traces.candidate_requests, traces.candidate_bad, traces.candidate_known)
    return {
        **{name: kayenta.ends(Z98) for name, kayenta in looks(traces).items()},
        "argo limit": _failed_in_all(candidate, usual_rate * TIMES_USUAL, ARGO_FAILURES + 1),
        "argo consecutive": _failed_running(candidate, usual_rate * TIMES_USUAL, ARGO_CONSECUTIVE),
        "flagger": _failed_in_all(candidate, usual_rate * TIMES_USUAL, FLAGGER_FAILURES),
    }


@dataclass(frozen=True)
class Looks:
    """Kayenta's rule at the end of several windows. `deviates`: of each trace (a row) and window, the largest normal
    quantile, for which confidence stands, with which the candidate would be High.
    """

    minutes: Floats
    deviates: Floats

    def ends(self, quantile: float) -> Floats:
        """The minute at which each trace is rolled back; infinity: never."""
        high = self.deviates >= quantile
        return np.where(high.any(axis=1), self.minutes[high.argmax(axis=1)], np.inf)

    def honest(self, alpha: float) -> float:
        """The least quantile, at least Kayenta's own, with which at most a share alpha of the traces is rolled back."""
        most = np.sort(self.deviates.max(axis=1))[::-1]
        first_spared = float(most[int(alpha * most.size)])
        return max(Z98, float(np.nextafter(first_spared, np.inf)))


def looks(traces: Traces) -> dict[str, Looks]:
    """Kayenta's three ways to look at the traces."""
    candidate = _rates(traces, traces.candidate_requests, traces.candidate_bad, traces.candidate_known)
    stable = _rates(traces, traces.stable_requests, traces.stable_bad, traces.stable_known)
    minutes = traces.minutes
    ends = range(FIRST_LOOK, minutes + 1, EVERY)
    windows = {
        "kayenta once": [(0, minutes)],
        "kayenta growing": [(0, end) for end in ends],
        "kayenta sliding": [(max(0, end - SLIDING), end) for end in ends],
    }
    asked = sorted({window for each in windows.values() for window in each})
    seen = {(start, end): deviates(candidate[:, start:end], stable[:, start:end]) for start, end in asked}
    return {
        name: Looks(np.array([float(end) for _, end in each]), np.stack([seen[window] for window in each], axis=1))
        for name, each in windows.items()
    }


def is_high(candidate: Floats, stable: Floats) -> NDArray[np.bool_]:
    """Kayenta's rule, a trace a row. NaN: no data in that minute."""
    return deviates(candidate, stable) >= Z98


def deviates(candidate: Floats, stable: Floats) -> Floats:
    """Up to which normal quantile each row is High: that of the rank of the first difference beyond the tolerance."""
    at_once = max(1, MOST_DIFFERENCES // max(1, candidate.shape[1] * stable.shape[1]))
    parts = [
        _deviates(candidate[start : start + at_once], stable[start : start + at_once])
        for start in range(0, len(candidate), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _deviates(x: Floats, y: Floats) -> Floats:
    differences = (x[:, :, None] - y[:, None, :]).reshape(len(x), -1)
    known_x, known_y = (~np.isnan(x)).sum(axis=1), (~np.isnan(y)).sum(axis=1)
    pairs = (known_x * known_y).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = TOLERANCE * np.abs(_medians(differences, pairs))
        within = (differences <= bound[:, None]).sum(axis=1)
        count = (known_x + known_y).astype(np.float64)
        variance = pairs / 12 * (count + 1 - _ties(np.concatenate([x, y], axis=1)) / (count * np.maximum(1, count - 1)))
        found = (pairs / 2 - 0.5 - within) / np.sqrt(np.maximum(0.0, variance))
    return np.where((pairs > 0) & (within < pairs) & ~np.isnan(found), found, -np.inf)


def _medians(differences: Floats, pairs: Floats) -> Floats:
    if (pairs == differences.shape[1]).all():
        medians: Floats = np.median(differences, axis=1)
        return medians
    ranked = np.sort(differences, axis=1)
    upper = np.minimum(pairs // 2, differences.shape[1] - 1).astype(int)
    lower = np.maximum(0, (pairs - 1) // 2).astype(int)
    middle: Floats = (
        np.take_along_axis(ranked, upper[:, None], 1)[:, 0] + np.take_along_axis(ranked, lower[:, None], 1)[:, 0]
    ) / 2
    return middle


def _ties(values: Floats) -> Floats:
    """Of each row, the sum of t^3 - t over its groups of t equal values: 3j(j + 1) for the j-th after the first."""
    ranked = np.sort(values, axis=1)
    places = np.arange(ranked.shape[1])
    begins = np.concatenate([np.ones((len(ranked), 1), dtype=bool), ranked[:, 1:] != ranked[:, :-1]], axis=1)
    after = places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    ties: Floats = (3.0 * after * (after + 1)).sum(axis=1)
    return ties


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
