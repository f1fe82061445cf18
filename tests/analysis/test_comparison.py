"""The comparison goes by the noise that the catalog has."""

from analysis.comparison import begun, compared, judged
from models.counters import Counters, LatencyHistogram
from models.evidence import UNKNOWN, Comparison, Decision, Noise
from models.judge_spec import CompareSpec, NoiseSpec

NOISY = NoiseSpec(own=30.0, burst=4.0, rate=1.0, minutes=1440)


def watched(spec: CompareSpec, minutes: int = 10) -> Comparison:
    def answered(requests: int, errors: int) -> Counters:
        slow = LatencyHistogram(bounds_ms=(100.0,), counts=(requests - errors, errors))
        return Counters(requests=requests, errors=errors, latency=slow)

    comparison = begun(Comparison(), spec, LatencyHistogram(bounds_ms=(100.0,), counts=(95, 5)))
    for _ in range(minutes):
        comparison = compared(comparison, spec, seconds=60, candidate=answered(1000, 20), stable=answered(9000, 90))
    return comparison


def decided(spec: CompareSpec) -> Decision:
    return judged(watched(spec), spec, candidate="v2", stable="v1").decision


def test_what_equals_do_by_themselves_is_not_taken_for_a_worse_version() -> None:
    assert decided(CompareSpec()) is Decision.ROLL_BACK
    assert decided(CompareSpec(noise=NOISY)) is Decision.GO_ON


def test_without_noise_in_the_catalog_it_is_assumed() -> None:
    assert CompareSpec().error_noise == UNKNOWN
    assert CompareSpec(noise=NOISY).error_noise == Noise(own=30.0, burst=4.0, rate=0.01, minutes=1440)


def test_how_much_is_missing_is_told_by_the_same_noise() -> None:
    def needed(spec: CompareSpec) -> int:
        missing = judged(watched(spec, 3), spec, candidate="v2", stable="v1").findings[0].requests_needed
        assert missing is not None
        return missing

    assert needed(CompareSpec(noise=NOISY)) > 4 * needed(CompareSpec())


def test_slow_requests_are_compared_by_what_is_assumed() -> None:
    plain, noisy = CompareSpec(latency="p95"), CompareSpec(latency="p95", noise=NOISY)

    assert watched(noisy).slow == watched(plain).slow
    assert watched(noisy).errors != watched(plain).errors
