"""Dates, parts of a week and time zones as people write them: `2026-12-24 16:00`, `Europe/Berlin`.

What is refused is refused with MistakeError, as in `models/quantities.py`.
"""

import re
from datetime import datetime, time, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, WithJsonSchema

from models.mistakes import MistakeError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = f"(?:{'|'.join(_DAYS)})"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN = re.compile(f"({_DAY}) ({_CLOCK}) *(?:–|-|to) *({_DAY}) ({_CLOCK})")
_MOMENT = re.compile(rf"20[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_CLOCK}(?::[0-5][0-9])?(?: ?(?:Z|[+-]{_CLOCK}))?")

WEEKLY_RULE = f"^{_SPAN.pattern}$"
MOMENT_RULE = f"^{_MOMENT.pattern}$"
ZONE_RULE = r"^[A-Za-z][A-Za-z0-9_+/-]*$"

A_MOMENT = "a date and time like 2026-12-24 16:00"
A_WEEKLY_SPAN = "a weekly span like fri 16:00 – mon 08:00"
A_ZONE = "a time zone like Europe/Berlin or UTC"


class Span(NamedTuple):
    """A part of every week. Days count from Monday, 0; `days` is how many days after its beginning it ends."""

    day: int
    begins: time
    days: int
    ends: time


def parse_weekly(value: object) -> str:
    """Check a weekly span and write it in the one usual way. Raises MistakeError."""
    match = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if not match:
        raise MistakeError(f"{value!r} is not a weekly span; write {A_WEEKLY_SPAN}", allowed=A_WEEKLY_SPAN)
    text = f"{match[1]} {match[2]} – {match[3]} {match[4]}"
    if match.group(1, 2) == match.group(3, 4):
        raise MistakeError(f"{text!r} ends when it begins: that is all of the week or nothing of it")
    return text


def span_of(weekly: str) -> Span:
    """What a text that `parse_weekly` has checked means."""
    match = _SPAN.fullmatch(weekly)
    if match is None:
        raise ValueError(f"{weekly!r} is not a weekly span")
    first, last = _DAYS.index(match[1]), _DAYS.index(match[3])
    begins, ends = time.fromisoformat(match[2]), time.fromisoformat(match[4])
    days = (last - first) % 7 or (7 if ends < begins else 0)
    return Span(day=first, begins=begins, days=days, ends=ends)


def parse_moment(value: object) -> str:
    """Check a date and time, with or without an offset, and write it without what may be left out."""
    text = value.strip() if isinstance(value, str) else ""
    found = _read_moment(text) if _MOMENT.fullmatch(text) else None
    if found is None:
        raise MistakeError(f"{value!r} is not a date and time; write {A_MOMENT}", allowed=A_MOMENT)
    return found.isoformat(sep=" ", timespec="seconds" if found.second else "minutes")


def parse_zone(value: object) -> str:
    """Check a name of the time-zone database. Raises MistakeError."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(ZONE_RULE, text) or not _is_known(text):
        raise MistakeError(f"{value!r} is not a time zone; write one like Europe/Berlin", allowed=A_ZONE)
    return text


def earliest(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first instant that a clock on the wall may mean; where clocks are turned, one time means two, or none."""
    return _instants(moment, zone)[0]


def latest(moment: datetime, zone: ZoneInfo) -> datetime:
    """The last instant that a clock on the wall may mean."""
    return _instants(moment, zone)[1]


def _read_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        return None


def _is_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name of a folder of the database, such as Europe.
        return False
    return True


def _instants(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if moment.tzinfo is not None:
        return moment.astimezone(_UTC), moment.astimezone(_UTC)
    before, after = sorted(moment.replace(tzinfo=zone, fold=fold).astimezone(_UTC) for fold in (0, 1))
    return before, after


_UTC = ZoneInfo("UTC")
WEEK = timedelta(days=7)

Moment = Annotated[
    str,
    BeforeValidator(parse_moment),
    WithJsonSchema({"type": "string", "pattern": MOMENT_RULE, "examples": ["2026-12-24 16:00"]}),
]

Weekly = Annotated[
    str,
    BeforeValidator(parse_weekly),
    WithJsonSchema({"type": "string", "pattern": WEEKLY_RULE, "examples": ["fri 16:00 – mon 08:00"]}),
]

Zone = Annotated[
    str,
    BeforeValidator(parse_zone),
    WithJsonSchema({"type": "string", "pattern": ZONE_RULE, "examples": ["Europe/Berlin", "UTC"]}),
]
