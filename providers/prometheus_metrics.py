"""Requests, errors and latency per version as Prometheus has collected them, and whatever else it can be asked.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from models.counters import Counters, MetricSnapshot
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.metric_sources import PrometheusMetrics as Spec
from models.templates import fill_promql
from providers.counters_read import NotACountError, all_of, count
from providers.errors import ProviderError
from providers.json_documents import JsonDocuments
from providers.prometheus_answers import Result, Series, of_prometheus, read_histogram, read_result, short
from providers.roles import SecretResolver

MOST_SERIES = 100
"""Of one version that one query may find: they travel with every heartbeat."""
_MOST_SAID = 5

_Kind = Literal["requests", "errors", "latency"]


class PrometheusMetrics:
    """A MetricSource.

    All queries of one snapshot are asked for the same moment, by Prometheus' own clock, and know what it scraped last.
    Every series is a part of its own, as it is to Prometheus' `increase`: one that begins anew is told from the others.
    A version of which no series of `requests` is found is absent; no series of `errors` are no errors, as such a series
    begins with the first of them.
    """

    def __init__(self, secrets: SecretResolver) -> None:
        self._documents = JsonDocuments(secrets)

    async def aclose(self) -> None:
        await self._documents.aclose()

    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Group]) -> MetricSnapshot:
        spec = of_prometheus(spec)
        taken_at = datetime.now(UTC)
        if not versions:
            return MetricSnapshot(taken_at=taken_at)
        moment = (await self._ask(spec, "time()")).scalar()
        read = await all_of(self._version(ref, spec, version, moment) for version in versions)
        found = {version: each for version, each in zip(versions, read, strict=True) if each.has_requests}
        return MetricSnapshot(
            taken_at=taken_at,
            versions={version: each.total() for version, each in found.items()},
            parts={version: each.parts for version, each in found.items()},
            left_out=tuple(sentence for each in read for sentence in each.left_out[:_MOST_SAID]),
        )

    async def measure(self, ref: ServiceRef, spec: MetricsSpec, query: str, version: Version) -> float | None:
        filled = fill_promql(query, ref, version)
        result = await self._ask(of_prometheus(spec), filled)
        if result.kind == "scalar":
            value = result.scalar()
        else:
            series = result.series()
            if len(series) > 1:
                raise ProviderError(
                    f"{result.source} finds {len(series)} series by {short(filled)}, where one number is needed. "
                    "Sum them up, or choose one by its labels.",
                    retryable=False,
                )
            value = series[0].number if series else math.nan
        return value if math.isfinite(value) else None

    async def _version(self, ref: ServiceRef, spec: Spec, version: Version, moment: float) -> "_Found":
        templates: dict[_Kind, str | None] = {"requests": spec.requests, "errors": spec.errors, "latency": spec.latency}
        queries = {kind: fill_promql(template, ref, version) for kind, template in templates.items() if template}
        results = await all_of(self._ask(spec, query, moment) for query in queries.values())
        found = _Found()
        for (kind, query), result in zip(queries.items(), results, strict=True):
            found.add(kind, f"{kind} of {version} by {short(query)}", result, spec)
        return found

    async def _ask(self, spec: Spec, query: str, moment: float | None = None) -> Result:
        arguments = {"query": query} if moment is None else {"query": query, "time": repr(moment)}
        url = f"{spec.url.rstrip('/')}/api/v1/query"
        answer = await self._documents.get(url, within=spec.timeout, token=spec.token, query=arguments)
        return read_result(answer, query)


@dataclass
class _Found:
    """What was found of one version."""

    parts: dict[str, Counters] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    has_requests: bool = False

    def add(self, kind: _Kind, what: str, result: Result, spec: Spec) -> None:
        """Raises ProviderError where there are series and none of them is of use."""
        self.left_out += [f"{result.source} warns about {what}: {short(warning)}." for warning in result.warnings]
        groups: dict[str, list[Series]] = {}
        for series in result.series():
            digest = series.digest(without="le" if kind == "latency" else "")
            groups.setdefault(f"{kind}:{digest}", []).append(series)
        if len(groups) > MOST_SERIES:
            raise ProviderError(
                f"{result.source} finds {len(groups)} series for {what}; {MOST_SERIES} are the most that are told "
                "apart. Add them up in the query, as in sum by (instance) (...).",
                retryable=False,
            )
        usable = {}
        problem = ""
        for key, group in groups.items():
            try:
                usable[key] = _counters(kind, group, spec)
            except NotACountError as error:
                problem = f"Of {what}, {result.source} has the series {group[0].labels()}, which is {error}"
                self.left_out.append(f"{problem}; it is left out.")
        if problem and not usable:
            raise ProviderError(f"{problem}. If that stays so, correct the query in the catalog.", retryable=True)
        self.parts |= usable
        self.has_requests = self.has_requests or (kind == "requests" and bool(usable))

    def total(self) -> Counters:
        total = Counters.total(self.parts.values())
        return total.model_copy(update={"errors": min(total.errors, total.requests)})


def _counters(kind: _Kind, group: Sequence[Series], spec: Spec) -> Counters:
    """Of one part. Raises NotACountError."""
    match kind:
        case "requests":
            return Counters(requests=count(group[0].number))
        case "errors":
            return Counters(errors=count(group[0].number))
        case "latency":
            return Counters(latency=read_histogram(group, spec.latency_unit))
