"""Every series that a query of Prometheus finds now.

https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
"""

from models.alert_rules import PrometheusAddress
from models.series import FoundSeries
from providers.errors import ProviderError
from providers.json_documents import JsonDocuments
from providers.prometheus_answers import read_result
from providers.roles import SecretResolver

MOST_SERIES = 2_000


class PrometheusSeries:
    """A SeriesSource."""

    def __init__(self, secrets: SecretResolver) -> None:
        self._documents = JsonDocuments(secrets)

    async def aclose(self) -> None:
        await self._documents.aclose()

    async def series(self, address: PrometheusAddress, query: str) -> tuple[FoundSeries, ...]:
        url = f"{address.url.rstrip('/')}/api/v1/query"
        answer = await self._documents.get(url, within=address.timeout, token=address.token, query={"query": query})
        result = read_result(answer, query)
        if result.kind == "scalar":
            return (FoundSeries(value=result.scalar()),)
        found = result.series()
        if len(found) > MOST_SERIES:
            raise ProviderError(
                f"{result.source} finds {len(found)} series; {MOST_SERIES} are the most that are looked at. "
                "Let the query find fewer.",
                retryable=False,
            )
        return tuple(FoundSeries(labels=each.metric, value=each.number) for each in found)
