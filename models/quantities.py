"""Durations, percentages and addresses as people write them: `1h30m`, `5%`, `127.0.0.1:8080`.

What is refused is refused with MistakeError, so that the catalog's loader can say what was allowed instead.
"""

import re
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from models.mistakes import MistakeError

_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|d|h|m|s)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|d|h|m|s))+")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):([1-9][0-9]{0,4})")
_MAX_PORT = 65535
_LONGEST_DURATION = 100
"""Characters; arithmetic on a million digits fails in ways of its own."""

DURATION_RULE = f"^{_DURATION.pattern}$"
PERCENT_RULE = f"^{_PERCENT.pattern}$"
HOST_PORT_RULE = f"^{_HOST_PORT.pattern}$"

A_DURATION = "a duration like 90s, 15m or 1h30m"
A_PERCENTAGE = "a percentage like 5%"
AN_ADDRESS = "host:port, like 127.0.0.1:8080"


def parse_duration(value: object) -> timedelta:
    """Read `250ms`, `90s`, `15m`, `1h30m` or `2d`, rounded to the microsecond.

    Raises MistakeError for anything else, bare numbers included, and for what is negative or too long to hold.
    """
    if isinstance(value, timedelta):
        if value < timedelta(0):
            raise MistakeError(f"{value} is negative; a duration is not", allowed=A_DURATION)
        return value
    if not isinstance(value, str):
        raise _no_duration(value)
    if len(value) > _LONGEST_DURATION:
        raise _no_duration(f"{value[:_LONGEST_DURATION]}…")
    return _read_duration(value)


@lru_cache(maxsize=1024)  # a rollout's payloads hold the same few, over and over
def _read_duration(value: str) -> timedelta:
    if not _DURATION.fullmatch(value.strip()):
        raise _no_duration(value)
    micros = sum(Decimal(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(value))
    try:
        return timedelta(microseconds=round(micros))
    except OverflowError as error:
        raise MistakeError(f"{value!r} is longer than can be held", allowed=A_DURATION) from error


def _no_duration(value: object) -> MistakeError:
    return MistakeError(
        f"{value!r} is not a duration; write it with a unit, like 90s, 15m or 1h30m", allowed=A_DURATION
    )


def format_duration(value: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, to the microsecond: `1h30m`, `0.25s`, `0s`.

    A negative one is written with a sign in front, for people only: it cannot be read back.
    """
    sign = "-" if value < timedelta(0) else ""
    seconds, micros = divmod(abs(value // _MICROSECOND), 1_000_000)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    shown = f"{seconds}.{micros:06d}".rstrip("0") if micros else str(seconds)
    parts = [
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{shown}s" if shown != "0" else "",
    ]
    return sign + ("".join(parts) or "0s")


def parse_percent(value: object) -> float:
    """Read `5%` or `0.5%` as 5.0 or 0.5; a number is a percentage already. Raises MistakeError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if not match:
            raise MistakeError(f"{value!r} is not a percentage; write it with its sign, like 5%", allowed=A_PERCENTAGE)
        number = float(match[1])
    if not 0 <= number <= 100:  # noqa: PLR2004 - that is what a percentage is
        raise MistakeError(f"{value!r} is outside 0% to 100%", allowed="0% to 100%")
    return number


def _percent_of_a_model(value: object, info: ValidationInfo) -> float:
    """Read a percentage, refusing a bare number in JSON: what people wrote as 0.05 could mean either."""
    if info.mode == "json" and not isinstance(value, str):
        raise MistakeError(f"{value!r} is not a percentage; write it with its sign, like 5%", allowed=A_PERCENTAGE)
    return parse_percent(value)


def format_percent(value: float) -> str:
    """Write a percentage so that `parse_percent` reads the very same number: `5%`, `33.3%`, never an exponent."""
    text = f"{Decimal(repr(float(value) + 0.0)):f}"  # + 0.0, as there is also a negative zero
    return f"{text.removesuffix('.0')}%"


def parse_host_port(value: object) -> str:
    """Check `host:port`. Raises MistakeError when the port is missing or outside 1 to 65535."""
    text = str(value).strip()
    match = _HOST_PORT.fullmatch(text)
    if not match or int(match[2]) > _MAX_PORT:
        raise MistakeError(f"{value!r} is not an address; write host:port, like 127.0.0.1:8080", allowed=AN_ADDRESS)
    return text


def host_of(address: str) -> str:
    return address.rpartition(":")[0]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_RULE, "examples": ["90s", "15m", "1h30m"]}),
]

Percent = Annotated[
    float,
    BeforeValidator(_percent_of_a_model),
    PlainSerializer(format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_RULE, "examples": ["5%", "0.5%"]}),
]

HostPort = Annotated[
    str,
    BeforeValidator(parse_host_port),
    WithJsonSchema({"type": "string", "pattern": HOST_PORT_RULE, "examples": ["127.0.0.1:8080"]}),
]
