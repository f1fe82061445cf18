"""The one kind of PromQL that tests of rules evaluate by themselves: a series, compared with a number, or absent.

Everything else is PromQL only to Prometheus; a test says what that finds.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.rule_evaluation import Sample
from analysis.series_notation import unquoted

_SELECTOR = r"(?:[a-zA-Z_:][a-zA-Z0-9_:]*\s*(?:\{[^{}]*\})?|\{[^{}]+\})"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_COMPARED = re.compile(rf"\s*(?P<selector>{_SELECTOR})\s*(?:(?P<op>>=|<=|==|!=|>|<)\s*(?P<bound>{_NUMBER}))?\s*")
_ABSENT = re.compile(rf"\s*absent\s*\(\s*(?P<selector>{_SELECTOR})\s*\)\s*(?:==\s*1\s*)?")
_PARTS = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?", re.DOTALL)
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')\s*(?:,|$)"""
)
_NO_NAMES = frozenset({"time", "vector", "scalar", "absent"})

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "==": lambda value, bound: value == bound,
    "!=": lambda value, bound: value != bound,
}


@dataclass(frozen=True)
class Simple:
    """An expression of this kind. `matchers` are name, operator and text."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    operator: str = ""
    bound: float = math.nan
    absent: bool = False

    def find(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """Out of all series there are."""
        chosen = [sample for sample in samples if self._chooses(sample)]
        if self.absent:
            labels = {name: text for name, operator, text in self.matchers if operator == "="}
            return () if chosen else (Sample(labels, 1.0),)
        if not self.operator:
            return tuple(chosen)
        holds = _HOLDS[self.operator]
        return tuple(sample for sample in chosen if sample.value is not None and holds(sample.value, self.bound))

    def _chooses(self, sample: Sample) -> bool:
        if self.name and sample.labels.get("__name__") != self.name:
            return False
        return all(_matches(operator, sample.labels.get(name, ""), text) for name, operator, text in self.matchers)


def read_simple(expression: str) -> Simple | None:
    """None for an expression that is more than this."""
    absent = _ABSENT.fullmatch(expression)
    found = absent or _COMPARED.fullmatch(expression)
    parts = _PARTS.fullmatch(found["selector"].strip()) if found else None
    if found is None or parts is None or (parts[1] in _NO_NAMES):
        return None
    matchers = _matchers(parts[2] or "")
    if matchers is None:
        return None
    if absent:
        return Simple(parts[1] or "", matchers, absent=True)
    operator, bound = found["op"] or "", found["bound"]
    return Simple(parts[1] or "", matchers, operator, float(bound) if bound else math.nan)


def _matchers(text: str) -> tuple[tuple[str, str, str], ...] | None:
    found: list[tuple[str, str, str]] = []
    position = 0
    while text[position:].strip():
        match = _MATCHER.match(text, position)
        if match is None:
            return None
        found.append((match[1], match[2], unquoted(match[3])))
        position = match.end()
    return tuple(found)


def _matches(operator: str, label: str, text: str) -> bool:
    match operator:
        case "=":
            return label == text
        case "!=":
            return label != text
        case "=~":
            return re.fullmatch(text, label) is not None
        case _:
            return re.fullmatch(text, label) is None
