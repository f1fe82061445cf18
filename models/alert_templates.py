"""Texts of alerting rules with `{{ $labels.instance }}` and `{{ $value }}` in them, as Prometheus fills them in.

A subset of https://prometheus.io/docs/prometheus/latest/configuration/template_reference/; what is outside of it is
refused with a sentence when the rules are read, never shown to somebody who is paged.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator

from models.mistakes import MistakeError

ALLOWED = (
    "{{ $labels.NAME }} and {{ $value }}, piped into humanize, humanizePercentage, humanizeDuration, toUpper, toLower "
    'or printf "%.2f"'
)
MOST_CHARACTERS = 4_000

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([A-Za-z_][A-Za-z0-9_]*)")
_VALUE = frozenset({"$value", ".Value"})
_PRINTF = re.compile(r'printf\s+"([^"%]*)%(?:\.([0-9]))?([fgsdv])((?:[^"%]|%%)*)"(?:\s+(\S+))?')
_STEPS = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL_STEPS = ("", "m", "u", "n", "p", "f", "a", "z", "y")
_THOUSAND = 1000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

Step = Callable[[object], object]


def check_template(text: str) -> str:
    """Raises MistakeError for what is not in the subset."""
    if len(text) > MOST_CHARACTERS:
        raise MistakeError(f"has {len(text)} characters; {MOST_CHARACTERS} are the most")
    for _ in _actions(text):
        pass
    if "{{" in _ACTION.sub("", text):
        raise MistakeError("a template is not closed with }}", found="{{", allowed=ALLOWED)
    return text


def check_label_template(text: str) -> str:
    """As `check_template`; the value would make another alert of it at every look."""
    check_template(text)
    for match in _ACTION.finditer(text):
        if any(word in match[1] for word in _VALUE):
            raise MistakeError(
                f"{match[0]}: a label that holds the value is another alert whenever that changes; "
                "put it in an annotation"
            )
    return text


def fill(text: str, labels: Mapping[str, str], value: float | None) -> str:
    """A text that was checked. A label that is not there is empty, as with Prometheus."""
    return _ACTION.sub(lambda match: _shown(_value_of(match, labels, value)), text)


def _actions(text: str) -> Iterator[object]:
    for match in _ACTION.finditer(text):
        yield _value_of(match, {}, 0.0)


def _value_of(match: re.Match[str], labels: Mapping[str, str], value: float | None) -> object:
    """Raises MistakeError."""
    first, *rest = (part.strip() for part in match[1].split("|"))
    found: object = _first(match, first, labels, value)
    for name in rest:
        found = _step(match, name)(found)
    return found


def _first(match: re.Match[str], text: str, labels: Mapping[str, str], value: float | None) -> object:
    if text in _VALUE:
        return math.nan if value is None else value
    if label := _LABEL.fullmatch(text):
        return labels.get(label[1], "")
    name, _, argument = text.partition(" ")
    if name in _FUNCTIONS and argument:
        return _FUNCTIONS[name](_first(match, argument.strip(), labels, value))
    if (formatted := _PRINTF.fullmatch(text)) and formatted[5]:
        return _printf(formatted)(_first(match, formatted[5], labels, value))
    raise MistakeError(f"{match[0][:80]} is not filled in here", found=match[0][:80], allowed=ALLOWED)


def _step(match: re.Match[str], name: str) -> Step:
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    if (formatted := _PRINTF.fullmatch(name)) and not formatted[5]:
        return _printf(formatted)
    raise MistakeError(f"there is no {name[:40]} here", found=match[0][:80], allowed=ALLOWED)


def _printf(formatted: re.Match[str]) -> Step:
    before, digits, verb, after, _ = formatted.groups()

    def printed(value: object) -> str:
        if verb in {"f", "g"}:
            said = f"{_number(value):.{digits or 6}{verb}}" if digits or verb == "f" else _shown(_number(value))
        elif verb == "d":
            number = _number(value)
            said = str(int(number)) if math.isfinite(number) else _shown(number)
        else:
            said = _shown(value)
        return f"{before}{said}{after.replace('%%', '%')}"

    return printed


def _shown(value: object) -> str:
    """Numbers as Go writes them by itself: with as many digits as needed, an exponent only where it is shorter."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)  # noqa: PLR2004 - Go's own


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _humanize(value: object) -> str:
    number = _number(value)
    if number == 0 or not math.isfinite(number):
        return f"{number:.4g}" if math.isfinite(number) else _shown(number)
    steps, step = (_STEPS, 0) if abs(number) >= 1 else (_SMALL_STEPS, 0)
    while step + 1 < len(steps) and (abs(number) >= _THOUSAND if steps is _STEPS else abs(number) < 1):
        number = number / _THOUSAND if steps is _STEPS else number * _THOUSAND
        step += 1
    return f"{number:.4g}{steps[step]}"


def _humanize_percentage(value: object) -> str:
    number = _number(value)
    return f"{number * 100:.4g}%" if math.isfinite(number) else _shown(number)


def _humanize_duration(value: object) -> str:
    number = _number(value)
    if not math.isfinite(number):
        return _shown(number)
    if number == 0:
        return f"{number:.4g}s"
    if abs(number) < 1:
        return f"{_humanize(number)}s"
    sign, whole = "-" if number < 0 else "", int(abs(number))
    days, hours, minutes, seconds = (
        whole // _DAY,
        whole // _HOUR % 24,
        whole // _MINUTE % _MINUTE,
        whole % _MINUTE,
    )
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{number:.4g}s"


_FUNCTIONS: Mapping[str, Step] = {
    "humanize": _humanize,
    "humanizePercentage": _humanize_percentage,
    "humanizeDuration": _humanize_duration,
    "toUpper": lambda value: _shown(value).upper(),
    "toLower": lambda value: _shown(value).lower(),
}

Template = Annotated[str, AfterValidator(check_template)]
LabelTemplate = Annotated[str, AfterValidator(check_label_template)]
