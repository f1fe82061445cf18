"""Durations, percentages and addresses as people write them: `1h30m`, `5%`, `127.0.0.1:8080`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_MAX_PORT = 65535


def parse_duration(value: object) -> timedelta:
    """Read `250ms`, `90s`, `15m`, `1h30m` or `2d`. Raises ValueError for anything else, bare numbers included."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if not isinstance(value, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration; write it with a unit, like 90s, 15m or 1h30m")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def format_duration(value: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, to the microsecond: `1h30m`, `0.25s`, `0s`."""
    micros = round(value.total_seconds() * 1_000_000)
    seconds, fraction = divmod(micros, 1_000_000)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    shown = f"{seconds}.{fraction:06d}".rstrip("0") if fraction else str(seconds)
    parts = [
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{shown}s" if shown != "0" else "",
    ]
    return "".join(parts) or "0s"


def parse_percent(value: object) -> float:
    """Read `5%` or `0.5%` as 5.0 or 0.5. A bare number is refused, as 0.05 could mean either."""
    if isinstance(value, float):
        number = value
    else:
        match = _PERCENT.fullmatch(str(value).strip())
        if not match:
            raise ValueError(f"{value!r} is not a percentage; write it with its sign, like 5%")
        number = float(match[1])
    if not 0 <= number <= 100:  # noqa: PLR2004 - that is what a percentage is
        raise ValueError(f"{format_percent(number)} is outside 0% to 100%")
    return number


def format_percent(value: float) -> str:
    return f"{value:.10g}%"


def parse_host_port(value: object) -> str:
    """Check `host:port`. Raises ValueError when the port is missing or outside 1 to 65535."""
    text = str(value).strip()
    match = _HOST_PORT.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= _MAX_PORT:
        raise ValueError(f"{value!r} is not an address; write host:port, like 127.0.0.1:8080")
    return text


def host_of(address: str) -> str:
    return address.rpartition(":")[0]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["90s", "15m", "1h30m"]},
    ),
]

Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["5%", "0.5%"]}),
]

HostPort = Annotated[
    str,
    BeforeValidator(parse_host_port),
    WithJsonSchema({"type": "string", "pattern": f"^{_HOST_PORT.pattern}$", "examples": ["127.0.0.1:8080"]}),
]
