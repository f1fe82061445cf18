"""What a query finds, asked of a real Prometheus."""

import math
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from models.alert_rules import PrometheusAddress
from providers.errors import ProviderError
from providers.prometheus_series import PrometheusSeries
from tests.providers.json_server import json_server, of_json
from tests.providers.prometheus_harness import running_prometheus


@pytest_asyncio.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PrometheusAddress]:
    async with running_prometheus(tmp_path_factory.mktemp("prometheus") / "here", {"127.0.0.1:1": "/metrics"}) as url:
        yield PrometheusAddress(url=url)


@pytest_asyncio.fixture
async def source() -> AsyncIterator[PrometheusSeries]:
    source = PrometheusSeries(SecretStr)
    yield source
    await source.aclose()


@pytest.mark.parametrize(
    ("query", "labels", "value"),
    [
        ('label_replace(vector(3), "team", "shop", "", "")', {"team": "shop"}, 3.0),
        ("2 * 21", {}, 42.0),
        ("vector(0) / 0", {}, math.nan),
    ],
)
async def test_finds_every_series_with_its_labels(
    source: PrometheusSeries, address: PrometheusAddress, query: str, labels: dict[str, str], value: float
) -> None:
    (found,) = await source.series(address, query)

    assert found.labels == labels
    assert found.value == pytest.approx(value, nan_ok=True)


async def test_finds_nothing_where_no_series_is_chosen(source: PrometheusSeries, address: PrometheusAddress) -> None:
    assert await source.series(address, "vector(1) > 2") == ()


@pytest.mark.parametrize(
    ("query", "says"),
    [("summ(up)", "refuses the query summ"), ("up[5m]", "finds a matrix where the newest values")],
)
async def test_says_what_is_wrong_with_a_query(
    source: PrometheusSeries, address: PrometheusAddress, query: str, says: str
) -> None:
    with pytest.raises(ProviderError, match=says):
        await source.series(address, query)


async def test_does_not_look_at_series_without_end(source: PrometheusSeries) -> None:
    with json_server() as server:
        series = [{"metric": {"i": str(number)}, "value": [0, "1"]} for number in range(2001)]
        data = {"resultType": "vector", "result": series}
        server.answer = lambda _: of_json({"status": "success", "data": data})

        with pytest.raises(ProviderError, match="finds 2001 series; 2000 are the most"):
            await source.series(PrometheusAddress(url=server.url), "up")
