"""Freezes as people write them, and when they are in force."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.calendar_words import parse_moment, parse_weekly, parse_zone
from models.freezes import FreezeSpec
from models.mistakes import MistakeError

BERLIN = ZoneInfo("Europe/Berlin")
WEEKEND = FreezeSpec(name="weekend", every="fri 16:00 – mon 08:00", zone="Europe/Berlin")


def berlin(*when: int) -> datetime:
    return datetime(*when, tzinfo=BERLIN)  # type: ignore[arg-type,misc] # the numbers of a date


def holds(freeze: FreezeSpec, at: datetime) -> bool:
    return any(window.holds(at) for window in freeze.windows(at, at + timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("at", "frozen"),
    [
        (berlin(2026, 3, 6, 15, 59), False),
        (berlin(2026, 3, 6, 16, 0), True),
        (berlin(2026, 3, 8, 12, 0), True),
        (berlin(2026, 3, 9, 7, 59), True),
        (berlin(2026, 3, 9, 8, 0), False),
        (berlin(2026, 3, 30, 7, 59), True),  # clocks went forward on the 29th
        (berlin(2026, 3, 30, 8, 0), False),
        (berlin(2026, 10, 26, 7, 59), True),  # and back on the 25th
        (berlin(2026, 10, 26, 8, 0), False),
    ],
)
def test_a_weekend_is_frozen_by_the_clock_on_the_wall_whatever_season(at: datetime, frozen: bool) -> None:
    assert holds(WEEKEND, at) is frozen


def test_a_weekend_is_an_hour_shorter_or_longer_when_clocks_are_turned() -> None:
    def length(day: datetime) -> timedelta:
        (window,) = WEEKEND.windows(day, day + timedelta(seconds=1))
        return window.ends - window.begins

    assert length(berlin(2026, 3, 7)) == timedelta(hours=64)
    assert length(berlin(2026, 3, 28)) == timedelta(hours=63)
    assert length(berlin(2026, 10, 24)) == timedelta(hours=65)


def test_an_hour_that_occurs_twice_or_never_is_taken_so_that_it_is_frozen_longest() -> None:
    twice = FreezeSpec(name="n", from_="2026-10-25 02:30", until="2026-10-25 02:45", zone="Europe/Berlin")
    never = FreezeSpec(name="n", from_="2026-03-29 02:30", until="2026-03-29 02:45", zone="Europe/Berlin")
    day = timedelta(days=1)

    (window,) = twice.windows(berlin(2026, 10, 25), berlin(2026, 10, 25) + day)
    assert (window.begins, window.ends) == (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 45, tzinfo=UTC),
    )
    (window,) = never.windows(berlin(2026, 3, 29), berlin(2026, 3, 29) + day)
    assert (window.begins, window.ends) == (
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 45, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("every", "hours"),
    [
        ("mon 08:00 – mon 10:00", 2),
        ("mon 10:00 – mon 08:00", 166),
        ("sun 22:00 – mon 04:00", 6),
        ("tue 00:00-thu 00:00", 48),
    ],
)
def test_a_weekly_span_is_as_long_as_it_says(every: str, hours: int) -> None:
    freeze = FreezeSpec(name="n", every=every)
    windows = freeze.windows(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC))

    assert {window.ends - window.begins for window in windows} == {timedelta(hours=hours)}


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
clocks = st.tuples(st.sampled_from(DAYS), st.integers(0, 23), st.sampled_from([0, 30]))


@given(
    begins=clocks,
    ends=clocks,
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(ZoneInfo("UTC"))),  # noqa: DTZ001
)
def test_a_weekly_span_holds_just_when_the_week_says_so(
    begins: tuple[str, int, int], ends: tuple[str, int, int], at: datetime
) -> None:
    first, last = (DAYS.index(day) * 1440 + hour * 60 + minute for day, hour, minute in (begins, ends))
    if first == last:
        return
    freeze = FreezeSpec(
        name="n", every=f"{begins[0]} {begins[1]:02}:{begins[2]:02} – {ends[0]} {ends[1]:02}:{ends[2]:02}"
    )
    now = at.weekday() * 1440 + at.hour * 60 + at.minute
    expected = first <= now < last if first < last else now >= first or now < last

    assert holds(freeze, at) is expected


def test_a_date_with_an_offset_needs_no_zone() -> None:
    freeze = FreezeSpec(name="n", from_="2026-12-24T16:00+01:00", until="2026-12-27 08:00Z", zone="Asia/Tokyo")

    assert holds(freeze, datetime(2026, 12, 24, 15, 0, tzinfo=UTC))
    assert not holds(freeze, datetime(2026, 12, 24, 14, 59, tzinfo=UTC))
    assert not holds(freeze, datetime(2026, 12, 27, 8, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["", "fri", "fri 16:00", "fri 25:00 – mon 08:00", "friday 16:00 - mon 08:00", "fri 16 – mon 8"]
)
def test_what_is_no_weekly_span_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(MistakeError, match="fri 16:00 – mon 08:00"):
        parse_weekly(text)


def test_a_weekly_span_is_kept_in_the_one_usual_way() -> None:
    assert parse_weekly(" FRI 16:00-mon 08:00") == parse_weekly("fri 16:00 to mon 08:00") == "fri 16:00 – mon 08:00"
    with pytest.raises(MistakeError, match="all of the week or nothing of it"):
        parse_weekly("fri 16:00 – fri 16:00")


@pytest.mark.parametrize("text", ["", "2026-13-01 10:00", "2026-12-24", "tomorrow", "1026-01-01 10:00", 20261224])
def test_what_is_no_date_and_time_is_refused(text: object) -> None:
    with pytest.raises(MistakeError, match="write a date and time like"):
        parse_moment(text)


@pytest.mark.parametrize("text", ["", "Europe", "Europe/Bonn", "../etc/passwd", "/etc/passwd", "CEST+", None])
def test_what_is_no_time_zone_is_refused(text: object) -> None:
    with pytest.raises(MistakeError, match="write one like Europe/Berlin"):
        parse_zone(text)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "needs from and until, or every"),
        ({"from": "2026-12-24 16:00"}, "needs from and until, or every"),
        ({"from": "2026-12-24 16:00", "every": "fri 16:00 – mon 08:00"}, "is either weekly"),
        ({"from": "2026-12-24 16:00", "until": "2026-12-24 15:00"}, "before it begins"),
    ],
)
def test_a_freeze_is_weekly_or_once_and_ends_after_it_begins(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        FreezeSpec.model_validate({"name": "n", **wrong})


def test_a_freeze_survives_the_wire_under_the_names_that_people_write() -> None:
    freeze = FreezeSpec(name="n", from_="2026-12-24 16:00", until="2026-12-27 08:00")

    assert freeze.model_dump()["from"] == "2026-12-24 16:00"
    assert FreezeSpec.model_validate_json(freeze.model_dump_json()) == freeze
