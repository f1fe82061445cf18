"""What a rule of one's own says: `error_rate > 5% for 2m`, `p99 > 800ms`, `query >= 500`."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from models.base import Payload
from models.matching import Operator
from models.mistakes import MistakeError
from models.quantities import Duration, format_duration, parse_duration


class Figure(StrEnum):
    """What is measured of a service: its own figures, or what a query of the rule finds."""

    ERROR_RATE = "error_rate"
    REQUEST_RATE = "request_rate"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    QUERY = "query"

    @property
    def quantile(self) -> float | None:
        return int(self.value[1:]) / 100 if self.value.startswith("p") else None


AN_EXPRESSION = "a comparison like error_rate > 5% for 2m, p99 > 800ms, request_rate < 1 or query > 500"
EXPRESSION_RULE = rf"^\s*({'|'.join(Figure)})\s*(>=|<=|==|!=|>|<)"

_OPERATORS = {
    ">": Operator.ABOVE,
    ">=": Operator.AT_LEAST,
    "<": Operator.BELOW,
    "<=": Operator.AT_MOST,
    "==": Operator.EQUALS,
    "!=": Operator.IS_NOT,
}
_EXPRESSION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(>=|<=|==|!=|>|<)\s*(\S+)(?:\s+for\s+(\S+))?\s*")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_LONGEST = 200


class Comparison(Payload):
    """`bound` is a ratio, seconds, requests per second, or a plain number, as the figure is."""

    figure: Figure
    operator: Operator
    bound: float

    def holds(self, value: float) -> bool:
        match self.operator:
            case Operator.ABOVE:
                return value > self.bound
            case Operator.AT_LEAST:
                return value >= self.bound
            case Operator.BELOW:
                return value < self.bound
            case Operator.AT_MOST:
                return value <= self.bound
            case Operator.IS_NOT:
                return value != self.bound
            case _:
                return value == self.bound


class Read(Payload):
    comparison: Comparison
    lasting: Duration | None = None


def parse_expression(value: object) -> str:
    """Check an expression. Raises MistakeError that says which part is wrong."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST:
        raise MistakeError(f"{value!r} is not {AN_EXPRESSION}", allowed=AN_EXPRESSION)
    read_expression(text)
    return text


@lru_cache(maxsize=1024)
def read_expression(text: str) -> Read:
    """What it means. Raises MistakeError."""
    found = _EXPRESSION.fullmatch(text)
    if found is None:
        raise MistakeError(f"{text!r} is not {AN_EXPRESSION}", allowed=AN_EXPRESSION)
    name, operator, bound, lasting = found.groups()
    known = ", ".join(Figure)
    if name not in set(Figure):
        raise MistakeError(f"there is no figure {name}; there is {known}", found=name, allowed=known)
    figure = Figure(name)
    comparison = Comparison(figure=figure, operator=_OPERATORS[operator], bound=_bound(figure, bound))
    return Read(comparison=comparison, lasting=None if lasting is None else parse_duration(lasting))


def value_text(figure: Figure, number: float) -> str:
    """As people read it."""
    if figure is Figure.ERROR_RATE:
        return f"{number * 100:.4g}%"
    if figure.quantile is not None:
        return f"{number * 1000:.4g}ms"
    return f"{number:.6g}"


def _bound(figure: Figure, text: str) -> float:
    if figure is Figure.ERROR_RATE:
        number = text.removesuffix("%")
        if not text.endswith("%") or not _NUMBER.fullmatch(number):
            raise MistakeError("an error rate is held against a percentage", found=text, allowed="a percentage like 5%")
        return float(number) / 100
    if figure.quantile is not None:
        try:
            return parse_duration(text).total_seconds()
        except MistakeError as mistake:
            allowed = "a duration like 800ms or 2s"
            raise MistakeError("a response time is held against a duration", found=text, allowed=allowed) from mistake
    plain = text.removesuffix("/s") if figure is Figure.REQUEST_RATE else text
    if not _NUMBER.fullmatch(plain):
        allowed = "requests per second, like 0.5" if figure is Figure.REQUEST_RATE else "a number like 500"
        raise MistakeError(f"{figure} is held against a number", found=text, allowed=allowed)
    return float(plain)


def expression_text(comparison: Comparison, lasting: Duration) -> str:
    sign = next(sign for sign, operator in _OPERATORS.items() if operator is comparison.operator)
    during = f" for {format_duration(lasting)}" if lasting else ""
    return f"{comparison.figure} {sign} {value_text(comparison.figure, comparison.bound)}{during}"


Expression = Annotated[
    str,
    BeforeValidator(parse_expression),
    WithJsonSchema({"type": "string", "pattern": EXPRESSION_RULE, "examples": ["error_rate > 5% for 2m"]}),
]
