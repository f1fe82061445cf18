"""Reading what senders sent: objects that may hold anything, and one alert after another out of a batch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import JsonValue, ValidationError

from models.alert import MOST_ALERTS, Alert, AlertProblem, IgnoredAlert, Normalised

_SHOWN = 80
_LONGEST_PATH = 200
_MOST_PROBLEMS = 100
_MILLISECONDS_SINCE = 1e11
"""Numbers above it are Unix milliseconds: as seconds they would lie beyond the year 5000."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Alertmanager and Grafana write the year 1 for what has not ended."""


class NotUnderstoodError(ValueError):
    """Something is not what the sender's form says: which field, what is there, what may be."""

    def __init__(self, field: str, found: str, allowed: str) -> None:
        super().__init__(f"{field} is {found}; allowed is {allowed}")
        self.field, self.found, self.allowed = field, found, allowed

    def problem(self, index: int | None = None) -> AlertProblem:
        return AlertProblem(index=index, field=self.field, found=self.found, allowed=self.allowed)


class NothingToDoError(Exception):
    """What is said is understood, and neither fires nor clears anything."""


@dataclass(frozen=True)
class Reading:
    """An object of a sender's JSON, and where it stands. Every method raises NotUnderstoodError."""

    value: Mapping[str, JsonValue]
    path: str = ""

    @classmethod
    def of(cls, value: JsonValue, path: str = "") -> "Reading":
        if not isinstance(value, dict):
            raise NotUnderstoodError(path or "the body", shown(value), "an object")
        return cls(value, path)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}"[-_LONGEST_PATH:] if self.path else key

    def child(self, key: str) -> "Reading":
        return Reading.of(self.value.get(key), self.at(key))

    def optional(self, key: str) -> "Reading":
        """The object under a key, an empty one where there is none."""
        return Reading(value={}, path=self.at(key)) if self.value.get(key) is None else self.child(key)

    def items(self, key: str) -> Sequence[JsonValue]:
        found = self.value.get(key)
        if not isinstance(found, list):
            raise NotUnderstoodError(self.at(key), shown(found), "a list")
        if len(found) > MOST_ALERTS:
            raise NotUnderstoodError(self.at(key), f"a list of {len(found)}", f"a list of at most {MOST_ALERTS}")
        return found

    def text(self, key: str) -> str:
        """A text, or a number as one, that must be there."""
        found = self.text_or(key)
        if not found:
            raise NotUnderstoodError(self.at(key), shown(self.value.get(key)), "a text that is not empty")
        return found

    def text_or(self, key: str, default: str = "") -> str:
        found = self.value.get(key)
        if found is None:
            return default
        if isinstance(found, str):
            return found
        if isinstance(found, int | float) and not isinstance(found, bool):
            return str(found)
        raise NotUnderstoodError(self.at(key), shown(found), "a text")

    def one_of(self, key: str, allowed: Sequence[str]) -> str:
        found = self.text_or(key)
        if found not in allowed:
            raise NotUnderstoodError(self.at(key), shown(self.value.get(key)), " or ".join(allowed))
        return found

    def texts(self, key: str) -> dict[str, str]:
        """An object of texts, such as labels; numbers and truth values are written out, null is left out."""
        found = self.optional(key)
        return {name: _as_text(value, found.at(name)) for name, value in found.value.items() if value is not None}

    def numbers(self, key: str) -> dict[str, float]:
        """What is a finite number in an object; anything else in it is left out."""
        return {
            name: float(value)
            for name, value in self.optional(key).value.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and _fits(value)
        }

    def moment(self, key: str) -> datetime | None:
        """ISO 8601, or Unix time in seconds or milliseconds; None where nothing is said, or a date before 1970."""
        found = self.value.get(key)
        return None if found is None or found == "" else read_moment(found, self.at(key))


def _fits(value: float) -> bool:
    """Whether it is finite, and an integer not beyond what a float holds."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _as_text(value: JsonValue, field: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise NotUnderstoodError(field, shown(value), "a text")


def read_moment(value: JsonValue, field: str) -> datetime | None:
    """None for a date before 1970, which is how some say never. Raises NotUnderstoodError."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS_SINCE else value, UTC)
        else:
            _no_moment(value, field)
        return moment.astimezone(UTC) if moment > _NEVER else None
    except (ValueError, OverflowError, OSError):
        _no_moment(value, field)


def _no_moment(value: JsonValue, field: str) -> NoReturn:
    raise NotUnderstoodError(field, shown(value), "a time like 2026-12-24T16:00:00Z")


def shown(value: JsonValue) -> str:
    """A value in a few words, for an error."""
    if value is None:
        return "missing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def each_of(items: Sequence[JsonValue], read: Callable[[JsonValue, int], Alert]) -> Normalised:
    """Read a batch: one that is not understood is a problem of its own and takes no other with it."""
    alerts: list[Alert] = []
    problems: list[AlertProblem] = []
    ignored: list[IgnoredAlert] = []
    for index, item in enumerate(items):
        try:
            alerts.append(read(item, index))
        except NotUnderstoodError as error:
            problems.append(error.problem(index))
        except NothingToDoError as why:
            ignored.append(IgnoredAlert(index=index, why=str(why)))
    return Normalised(alerts=tuple(alerts), problems=_few(problems), ignored=tuple(ignored))


def whole_of(read: Callable[[], Normalised]) -> Normalised:
    """Read a body; what is wrong with all of it is a problem without an index."""
    try:
        return read()
    except NotUnderstoodError as error:
        return Normalised(problems=(error.problem(),))
    except NothingToDoError as why:
        return Normalised(ignored=(IgnoredAlert(why=str(why)),))


def one(read: Callable[[], Alert]) -> Normalised:
    """Read a body that is one alert."""
    return whole_of(lambda: Normalised(alerts=(read(),)))


def as_understood(error: ValidationError, path: str) -> NotUnderstoodError:
    """The first thing that a model found wrong, as a problem of the sender's field."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part)[:_SHOWN] for part in first["loc"] if part != "[key]")
    field = f"{path}.{where}" if path and where else where or path or "the alert"
    return NotUnderstoodError(field[:_LONGEST_PATH], shown(_plain(first["input"])), first["msg"])


def _plain(value: object) -> JsonValue:
    return value if isinstance(value, str | int | float | bool | dict | list) or value is None else str(value)


def _few(problems: list[AlertProblem]) -> tuple[AlertProblem, ...]:
    """All of them, up to a number that an answer can hold; the last then says how many more there are."""
    if len(problems) <= _MOST_PROBLEMS:
        return tuple(problems)
    more = AlertProblem(
        field="the rest of the list",
        found=f"{len(problems) - _MOST_PROBLEMS + 1} more that were not understood",
        allowed="as above",
    )
    return (*problems[: _MOST_PROBLEMS - 1], more)
