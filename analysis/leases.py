"""When a lease lapses."""

from datetime import timedelta

from models.keeper import HostTime

CLOCKS_AGREE_WITHIN = timedelta(seconds=5)


def time_left(deadline: HostTime, duration: timedelta, now: HostTime) -> timedelta:
    """How long a lease still holds; zero once it has lapsed.

    It has lapsed with another boot of the host: nobody can tell how long that took. So has one whose deadline lies
    further ahead than a renewal can put it: whoever wrote it has another clock, and would never be overdue.
    """
    if deadline.boot != now.boot:
        return timedelta(0)
    left = timedelta(seconds=deadline.seconds - now.seconds)
    if left > duration + CLOCKS_AGREE_WITHIN:
        return timedelta(0)
    return max(left, timedelta(0))
