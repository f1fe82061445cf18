from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis.rate_limits import draw, full, refilled
from models.gateway_spec import RateSpec

RATE = RateSpec(per_second=2, burst=3)


def test_a_burst_goes_through_and_then_one_waits() -> None:
    bucket = full(RATE, 0)
    waits = []
    for _ in range(4):
        bucket, wait = draw(bucket, RATE, 0)
        waits.append(wait)
    assert waits == [None, None, None, timedelta(seconds=0.5)]
    assert draw(bucket, RATE, 0.5).wait is None


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = full(RATE, 10)
    for _ in range(3):
        bucket = draw(bucket, RATE, 5).bucket
    assert draw(bucket, RATE, 5).wait is not None


def test_a_bucket_that_is_full_again_is_as_good_as_a_new_one() -> None:
    bucket = draw(full(RATE, 0), RATE, 0).bucket
    assert not refilled(bucket, RATE, 0.4)
    assert refilled(bucket, RATE, 0.5)


@given(pauses=st.lists(st.floats(0, 3), max_size=60), per_second=st.floats(0.1, 50), burst=st.integers(1, 20))
def test_never_more_go_through_than_the_rate_allows(pauses: list[float], per_second: float, burst: int) -> None:
    rate = RateSpec(per_second=per_second, burst=burst)
    bucket, now, through = full(rate, 0), 0.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = draw(bucket, rate, now)
        through += wait is None
        if wait is not None:  # and after the wait that was said, one does
            assert draw(bucket, rate, now + wait.total_seconds() + 1e-6).wait is None
    assert through <= burst + per_second * now + 1e-6
