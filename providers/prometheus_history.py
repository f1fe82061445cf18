"""What Prometheus remembers of a version's instances, minute by minute.

https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from models.counters import CounterPoint
from models.ids import ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.metric_sources import PrometheusMetrics as Spec
from models.templates import fill_promql
from providers.counters_read import all_of
from providers.errors import ProviderError
from providers.json_documents import JsonDocuments
from providers.prometheus_answers import PastSeries, of_prometheus, read_result, short
from providers.roles import Progress, SecretResolver

STEP = timedelta(minutes=1)
CHUNK = timedelta(hours=3)
"""Asked for at a time: of a few hundred instances, well below what one answer may have."""
PATIENCE = timedelta(seconds=30)
"""For one answer: what lies on a disk takes longer than the newest figures."""


class PrometheusHistory:
    """A MetricHistory. An instance's series are added up, as all of them begin anew together."""

    def __init__(self, secrets: SecretResolver) -> None:
        self._documents = JsonDocuments(secrets)

    async def aclose(self) -> None:
        await self._documents.aclose()

    async def instances(
        self, ref: ServiceRef, spec: MetricsSpec, version: Version, begins: datetime, ends: datetime, progress: Progress
    ) -> Mapping[str, Sequence[CounterPoint]]:
        spec = of_prometheus(spec)
        requests: dict[str, dict[float, float]] = {}
        errors: dict[str, dict[float, float]] = {}
        begin = begins
        while begin <= ends:
            progress(f"{version} on {begin.astimezone(UTC):%Y-%m-%d from %H:%M}")
            end = min(ends, begin + CHUNK - STEP)
            read = [self._add(requests, spec, "requests", fill_promql(spec.requests, ref, version), begin, end)]
            read.append(self._add(errors, spec, "errors", fill_promql(spec.errors, ref, version), begin, end))
            await all_of(read)
            begin += CHUNK
        return {
            name: [CounterPoint(at, value, errors.get(name, {}).get(at)) for at, value in sorted(points.items())]
            for name, points in requests.items()
        }

    async def _add(
        self,
        to: dict[str, dict[float, float]],
        spec: Spec,
        kind: str,
        query: str,
        begin: datetime,
        end: datetime,
    ) -> None:
        for series in await self._ask(spec, query, begin, end):
            name = series.metric.get(spec.instance_label)
            if not name:
                raise ProviderError(
                    f"The query of {kind}, {short(query)}, finds nothing with the label {spec.instance_label}, which "
                    "would tell one instance from another. Leave it in the query, or name the label that does with "
                    "`instance_label`.",
                    retryable=False,
                )
            to.setdefault(name, {}).update(series.points())

    async def _ask(self, spec: Spec, query: str, begin: datetime, end: datetime) -> list[PastSeries]:
        # On lines of its own, as a comment in the query would end the line.
        by_instance = f"sum by ({spec.instance_label}) (\n{query}\n)"
        arguments = {
            "query": by_instance,
            "start": repr(begin.timestamp()),
            "end": repr(end.timestamp()),
            "step": str(round(STEP.total_seconds())),
        }
        url = f"{spec.url.rstrip('/')}/api/v1/query_range"
        answer = await self._documents.get(url, within=max(PATIENCE, spec.timeout), token=spec.token, query=arguments)
        return read_result(answer, query).past()
