"""What rules say about alerts: `team=shop`, `severity=~critical|page`, `error_rate > 5%`."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema

from models.mistakes import MistakeError

A_MATCHER = "a matcher like team=shop, team!=shop, severity=~critical|page or severity!~info"
A_CONDITION = f"a comparison like error_rate > 5%, or {A_MATCHER}"

_NAME = r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}"
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?%?"
_MATCHER = re.compile(rf"({_NAME})\s*(=~|!~|!=|=)\s*(\"[^\"]*\"|'[^']*'|[^=<>~\s\"'](?:.*\S)?|)")
_COMPARISON = re.compile(rf"({_NAME})\s*(>=|<=|==|>|<)\s*({_NUMBER})")
_BETWEEN_COMMAS = re.compile(r"(?:[^,\"']|\"[^\"]*\"|'[^']*')+")
_LONGEST = 500

MATCHER_RULE = rf"^{_NAME}\s*(=~|!~|!=|=)"
CONDITION_RULE = rf"^{_NAME}\s*(=~|!~|!=|=|>=|<=|==|>|<)"


class Operator(StrEnum):
    IS = "="
    IS_NOT = "!="
    LIKE = "=~"
    NOT_LIKE = "!~"
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EQUALS = "=="


class Test(NamedTuple):
    """One comparison taken apart; `number` is set for those of numbers, and a percentage is a ratio there."""

    name: str
    operator: Operator
    text: str
    number: float | None = None


def parse_matcher(value: object) -> str:
    """Check a matcher of labels. A regular expression must match the whole label. Raises MistakeError."""
    return _checked(value, comparisons=False, allowed=A_MATCHER)


def split_matchers(text: str) -> list[str]:
    """What Alertmanager and its users write in braces, `{team="shop", env=~"prod|stage"}`, one by one."""
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        return [text]
    return [each.strip() for each in _BETWEEN_COMMAS.findall(inner[1:-1]) if each.strip()]


def parse_condition(value: object) -> str:
    """Check a matcher, or a comparison with a number. Raises MistakeError."""
    return _checked(value, comparisons=True, allowed=A_CONDITION)


@lru_cache(maxsize=4096)
def test_of(text: str) -> Test:
    """What a text that was checked means."""
    compared = _COMPARISON.fullmatch(text)
    if compared:
        return Test(compared[1], Operator(compared[2]), compared[3], read_number(compared[3]))
    matched = _MATCHER.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is neither a matcher nor a comparison")
    value = matched[3]
    bare = value[1:-1] if value[:1] in {'"', "'"} else value
    return Test(matched[1], Operator(matched[2]), bare)


@lru_cache(maxsize=1024)
def pattern_of(text: str) -> re.Pattern[str]:
    return re.compile(text)


def read_number(text: str) -> float | None:
    """Read `0.07`, `7%` (0.07) or `1e3`; None for what is no finite number."""
    stripped = text.strip()
    percent = stripped.endswith("%")
    try:
        number = float(stripped.removesuffix("%"))
    except ValueError:
        return None
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is what differs from itself
        return None
    return number / 100 if percent else number


def _checked(value: object, *, comparisons: bool, allowed: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST:
        raise MistakeError(f"{value!r} is not {allowed}", allowed=allowed)
    if comparisons and _COMPARISON.fullmatch(text):
        return text
    matched = _MATCHER.fullmatch(text)
    if not matched:
        raise MistakeError(f"{value!r} is not {allowed}", allowed=allowed)
    if matched[2] in {Operator.LIKE, Operator.NOT_LIKE}:
        try:
            pattern_of(test_of(text).text)
        except re.error as error:
            raise MistakeError(f"{text!r} holds no regular expression: {error}", allowed=allowed) from error
    return text


Matcher = Annotated[
    str,
    BeforeValidator(parse_matcher),
    WithJsonSchema({"type": "string", "pattern": MATCHER_RULE, "examples": ["team=shop", "severity=~critical|page"]}),
]

Condition = Annotated[
    str,
    BeforeValidator(parse_condition),
    WithJsonSchema({"type": "string", "pattern": CONDITION_RULE, "examples": ["error_rate > 5%", "team=shop"]}),
]
