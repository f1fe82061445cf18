"""Values of a series as promtool's tests write them: `0+10x5`, `1x4`, `_x3`, `stale`.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

import math
import re
from dataclasses import dataclass
from enum import Enum

from models.mistakes import MistakeError

A_VALUE = "numbers, 0+10x5 (six values, each 10 more), 1x4 (five times 1), _x3 (three that are missing), or stale"
MOST_VALUES = 100_000

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?|[-+]?Inf|NaN"
_REPEATED = re.compile(rf"({_NUMBER})(%?)(?:([-+](?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{{1,3}})?)%?)?x([0-9]+)")
_SINGLE = re.compile(rf"({_NUMBER})(%?)")
_MISSING = re.compile(r"_(?:x([0-9]+))?")


class Gap(Enum):
    """No value: MISSING, nothing was written; STALE, the series has ended."""

    MISSING = "_"
    STALE = "stale"


Value = float | Gap


def parse_values(text: str) -> tuple[Value, ...]:
    """Raises MistakeError."""
    values: list[Value] = []
    for word in text.split():
        values += _values(word, MOST_VALUES - len(values))
    return tuple(values)


def _values(word: str, room: int) -> list[Value]:
    if word == Gap.STALE.value:
        return [Gap.STALE]
    if missing := _MISSING.fullmatch(word):
        return [Gap.MISSING] * _count(missing[1] or "1", word, room)
    if single := _SINGLE.fullmatch(word):
        return [_number(single[1], single[2])]
    if repeated := _REPEATED.fullmatch(word):
        first, percent, step, times = repeated.groups()
        begins, grows = _number(first, percent), _number(step or "0", percent)
        return [begins + grows * number for number in range(_count(times, word, room) + 1)]
    raise MistakeError(f"{word!r} is not {A_VALUE}", found=word, allowed=A_VALUE)


def _count(text: str, word: str, room: int) -> int:
    if len(text) > len(str(MOST_VALUES)) or int(text) >= room:
        raise MistakeError(f"{word!r} are over {MOST_VALUES} values", found=word, allowed=f"{MOST_VALUES} or fewer")
    return int(text)


def _number(text: str, percent: str) -> float:
    number = math.nan if text == "NaN" else float(text)
    return number / 100 if percent else number


@dataclass(frozen=True)
class Written:
    """A series' name and labels as they are written: `up{job="shop", instance="a"}`."""

    name: str
    labels: tuple[tuple[str, str], ...]


_SERIES = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?\s*", re.DOTALL)
_PAIR = re.compile(r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')\s*(?:,|$)""")
A_SERIES = 'a name with labels, like up{job="shop"}'


def parse_series(text: str) -> Written:
    """Raises MistakeError."""
    found = _SERIES.fullmatch(text)
    if found is None or (not found[1] and not found[2]):
        raise MistakeError(f"{text!r} is not {A_SERIES}", found=text[:80], allowed=A_SERIES)
    labels: dict[str, str] = {}
    inside, position = found[2] or "", 0
    while inside[position:].strip():
        pair = _PAIR.match(inside, position)
        if pair is None:
            raise MistakeError(f"{inside[position:]!r} are no labels", found=text[:80], allowed=A_SERIES)
        labels[pair[1]] = unquoted(pair[2])
        position = pair.end()
    name = found[1] or labels.pop("__name__", "")
    return Written(name, tuple(sorted(labels.items())))


_ESCAPE = re.compile(r"\\(.)")
_MEANT = {"n": "\n", "t": "\t", "r": "\r"}


def unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda match: _MEANT.get(match[1], match[1]), text[1:-1])
