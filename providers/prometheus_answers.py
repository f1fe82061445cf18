"""What Prometheus answers to a query of now, or of a range of time.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from models.counters import LatencyHistogram
from models.judge_spec import MetricsSpec
from models.metric_sources import LatencyUnit, PrometheusMetrics
from providers.counters_read import NotACountError, count, histogram
from providers.errors import ProviderError
from providers.json_documents import Answer

_REFUSED_QUERY = {400, 422}
_MOST_SHOWN = 200

_T = TypeVar("_T")


class Series(BaseModel):
    """One series and its newest value; none for a native histogram."""

    model_config = ConfigDict(frozen=True)

    metric: dict[str, str] = {}
    value: tuple[float, str] | None = None

    @property
    def number(self) -> float:
        try:
            return math.nan if self.value is None else float(self.value[1])
        except ValueError:
            return math.nan

    def digest(self, *, without: str = "") -> str:
        """A short name for its labels, the same for as long as they are."""
        labels = sorted((name, value) for name, value in self.metric.items() if name != without)
        return hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:12]

    def labels(self) -> str:
        return short(json.dumps(self.metric, ensure_ascii=False))


class PastSeries(BaseModel):
    """One series and its values over time; none for a native histogram."""

    model_config = ConfigDict(frozen=True)

    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []

    def points(self) -> Iterator[tuple[float, float]]:
        """Moments in seconds and values, without what is no number of requests."""
        for at, text in self.values:
            with suppress(ValueError):
                value = float(text)
                if math.isfinite(value) and value >= 0:
                    yield at, value


_SERIES = TypeAdapter(list[Series])
_PAST = TypeAdapter(list[PastSeries])
_SCALAR = TypeAdapter(tuple[float, float])


@dataclass(frozen=True)
class Result:
    """What a query found; `source` is the address that was asked, for people."""

    source: str
    kind: str
    content: JsonValue
    warnings: tuple[str, ...] = ()

    def series(self) -> list[Series]:
        """Raises ProviderError for what is not the newest values of series."""
        if self.kind != "vector":
            raise ProviderError(
                f"{self.source} finds a {self.kind} where the newest values of series are needed. Take the range out "
                "of the query, or put a function around it.",
                retryable=False,
            )
        return self._content(_SERIES)

    def past(self) -> list[PastSeries]:
        """Raises ProviderError for what are not the values of series over time."""
        return self._content(_PAST)

    def scalar(self) -> float:
        return self._content(_SCALAR)[1]

    def _content(self, adapter: TypeAdapter[_T]) -> _T:
        try:
            return adapter.validate_python(self.content)
        except ValidationError as error:
            raise _stranger(self.source, error) from error


def of_prometheus(spec: MetricsSpec) -> PrometheusMetrics:
    """Raises ProviderError."""
    if not isinstance(spec, PrometheusMetrics):
        raise ProviderError(f"Prometheus is asked with the metrics of {spec.provider}.", retryable=False)
    return spec


def read_result(answer: Answer, query: str) -> Result:
    """Raises ProviderError for a query that was refused, and for what does not answer like Prometheus."""
    if not answer.is_success:
        raise _refusal(answer, query)
    try:
        reply = _Reply.model_validate(answer.document())
    except ValidationError as error:
        raise _stranger(answer.source, error) from error
    return Result(answer.source, reply.data.resultType, reply.data.result, tuple(reply.warnings))


def read_histogram(buckets: Sequence[Series], unit: LatencyUnit) -> LatencyHistogram:
    """Of the `_bucket` series of one instance. Raises NotACountError.

    Prometheus' buckets hold everything up to their bound, ours what lies between two bounds.
    """
    up_to: dict[Decimal, int] = {}
    for bucket in buckets:
        try:
            bound = Decimal(bucket.metric["le"])
        except (KeyError, InvalidOperation):
            raise NotACountError("no bucket: it has no label le with a number") from None
        up_to[bound] = count(bucket.number)
    bounds = sorted(bound for bound in up_to if bound.is_finite())
    if Decimal("Infinity") not in up_to:
        raise NotACountError('a histogram without the bucket le="+Inf"')
    counts = [up_to[bound] for bound in (*bounds, Decimal("Infinity"))]
    if any(later < earlier for earlier, later in pairwise(counts)):
        raise NotACountError("a histogram whose buckets hold less the higher they reach")
    return histogram(bounds, [later - earlier for earlier, later in pairwise([0, *counts])], unit)


def short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


class _Data(BaseModel):
    resultType: str  # noqa: N815 - Prometheus' own name
    result: JsonValue


class _Reply(BaseModel):
    status: Literal["success"]
    data: _Data
    warnings: list[str] = []


class _Refusal(BaseModel):
    status: Literal["error"]
    error: str


def _refusal(answer: Answer, query: str) -> ProviderError:
    if answer.status not in _REFUSED_QUERY:
        return answer.refused()
    try:
        reason = _Refusal.model_validate(answer.document()).error
    except (ProviderError, ValidationError):
        return answer.refused()
    return ProviderError(
        f"{answer.source} refuses the query {short(query)}: {short(reason)}. Correct it in the catalog.",
        retryable=False,
    )


def _stranger(source: str, error: ValidationError) -> ProviderError:
    found = " ".join(str(error).split())
    return ProviderError(
        f"What answers at {source} does not speak like Prometheus ({short(found)}); check the address.", retryable=True
    )
