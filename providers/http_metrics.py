"""Requests, errors and latency per version out of a JSON document that something of yours serves.

https://jmespath.org/specification.html
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import jmespath
from pydantic import JsonValue

from models.counters import Counters, LatencyHistogram, MetricSnapshot
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.metric_sources import HttpMetrics as Spec
from models.templates import fill_jmespath, fill_url
from providers.counters_read import LARGEST, NotACountError, all_of, count, histogram
from providers.errors import ProviderError
from providers.json_documents import JsonDocuments
from providers.roles import SecretResolver

_MOST_BUCKETS = 200
_MOST_SHOWN = 100


class HttpMetrics:
    """A MetricSource.

    One request per version. A version whose document has no `requests` (or null) is absent. What is there and is no
    counter is a ProviderError: without a part of it, the rest of a version's counters would mean something else.
    """

    def __init__(self, secrets: SecretResolver) -> None:
        self._documents = JsonDocuments(secrets)

    async def aclose(self) -> None:
        await self._documents.aclose()

    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Group]) -> MetricSnapshot:
        spec = _of_http(spec)
        taken_at = datetime.now(UTC)
        documents = await all_of(self._document(ref, spec, version) for version in versions)
        found = {version: document.counters(spec) for version, document in zip(versions, documents, strict=True)}
        return MetricSnapshot(
            taken_at=taken_at,
            versions={version: counters for version, counters in found.items() if counters is not None},
        )

    async def measure(self, ref: ServiceRef, spec: MetricsSpec, query: str, version: Version) -> float | None:
        document = await self._document(ref, _of_http(spec), version)
        value = document.find(query)
        return None if value is None else document.number(query, value)

    async def _document(self, ref: ServiceRef, spec: Spec, version: Version) -> "_Document":
        url = fill_url(spec.url, ref, version)
        answer = await self._documents.get(url, within=spec.timeout, token=spec.token)
        if not answer.is_success:
            raise answer.refused()
        return _Document(answer.source, answer.document(), ref, version)


class _Document:
    """What was served about one version. Every method raises ProviderError."""

    def __init__(self, source: str, content: JsonValue, ref: ServiceRef, version: Version) -> None:
        self._source = source
        self._content = content
        self._ref = ref
        self._version = version

    def counters(self, spec: Spec) -> Counters | None:
        requests = self.find(spec.requests)
        if requests is None:
            return None
        return Counters(
            requests=self._count(spec.requests, requests),
            errors=self._count(spec.errors, self.find(spec.errors)),
            latency=self._latency(spec),
        )

    def find(self, expression: str) -> JsonValue:
        filled = fill_jmespath(expression, self._ref, self._version)
        try:
            found: JsonValue = jmespath.search(filled, self._content)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # JMESPath's own errors are ValueErrors; its functions let through what Python says of their arguments.
            raise self._error(expression, f"cannot be found: {' '.join(str(error).split())[:_MOST_SHOWN]}") from error
        return found

    def number(self, expression: str, value: JsonValue) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise self._error(expression, f"is {_shown(value)}, not a number")
        return float(value)

    def _count(self, expression: str, value: JsonValue) -> int:
        try:
            return count(self.number(expression, value))
        except NotACountError as error:
            raise self._error(expression, f"is {error}") from error

    def _latency(self, spec: Spec) -> LatencyHistogram:
        if spec.latency_bounds is None or spec.latency_counts is None:
            return LatencyHistogram()
        bounds, counts = self._numbers(spec.latency_bounds), self._numbers(spec.latency_counts)
        try:
            return histogram([Decimal(str(bound)) for bound in bounds], counts, spec.latency_unit)
        except NotACountError as error:
            raise self._error(spec.latency_counts, f"is {error}") from error

    def _numbers(self, expression: str) -> list[float]:
        found = self.find(expression)
        if not isinstance(found, list) or len(found) > _MOST_BUCKETS:
            raise self._error(expression, f"is {_shown(found)}, not a list of up to {_MOST_BUCKETS} numbers")
        return [self.number(expression, each) for each in found]

    def _error(self, expression: str, problem: str) -> ProviderError:
        return ProviderError(
            f"In what {self._source} answers about {self._version}, {expression[:_MOST_SHOWN]} {problem}. "
            "Correct the expression in the catalog, or what is served.",
            retryable=True,
        )


def _shown(value: JsonValue) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return "nothing" if value is None else repr(value)[:_MOST_SHOWN]


def _of_http(spec: MetricsSpec) -> Spec:
    if not isinstance(spec, Spec):
        raise ProviderError(f"JSON over HTTP is asked with the metrics of {spec.provider}.", retryable=False)
    return spec
