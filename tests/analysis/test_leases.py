from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis.leases import CLOCKS_AGREE_WITHIN, time_left
from models.keeper import HostTime

DURATION = timedelta(seconds=30)
NONE_LEFT = timedelta(0)

seconds = st.floats(min_value=0, max_value=10**7)
durations = st.timedeltas(min_value=timedelta(seconds=5), max_value=timedelta(minutes=10))


def at(moment: float, boot: str = "this") -> HostTime:
    return HostTime(boot=boot, seconds=moment)


def test_what_is_left_shrinks_to_nothing_at_the_deadline() -> None:
    deadline = at(100).later(DURATION)

    assert time_left(deadline, DURATION, at(100)) == DURATION
    assert time_left(deadline, DURATION, at(129)) == timedelta(seconds=1)
    assert time_left(deadline, DURATION, at(130)) == NONE_LEFT
    assert time_left(deadline, DURATION, at(9000)) == NONE_LEFT


def test_another_boot_means_that_it_has_lapsed_however_the_seconds_compare() -> None:
    deadline = at(100).later(DURATION)

    assert time_left(deadline, DURATION, at(0, boot="next")) == NONE_LEFT
    assert time_left(deadline, DURATION, at(100, boot="next")) == NONE_LEFT


def test_a_deadline_that_no_renewal_can_have_set_has_lapsed() -> None:
    """As from a process with a clock of its own: it would never be overdue."""
    assert time_left(at(3700), DURATION, at(100)) == NONE_LEFT


def test_a_deadline_renewed_while_it_is_looked_at_still_holds() -> None:
    looked_at, renewed_at = at(100.0), at(100.2)

    assert time_left(renewed_at.later(DURATION), DURATION, looked_at) > DURATION


@given(armed=seconds, duration=durations, passed=seconds)
def test_it_lapses_when_its_duration_has_passed_and_not_before(
    armed: float, duration: timedelta, passed: float
) -> None:
    left = time_left(at(armed).later(duration), duration, at(armed + passed))

    assert NONE_LEFT <= left <= duration + CLOCKS_AGREE_WITHIN
    margin = timedelta(milliseconds=1)  # what floats lose at ten million seconds
    if timedelta(seconds=passed) < duration - margin:
        assert left > NONE_LEFT
    if timedelta(seconds=passed) > duration + margin:
        assert left == NONE_LEFT
