"""PrometheusHistory against a real Prometheus that remembers instances."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.counters import CounterPoint
from models.metric_sources import PrometheusMetrics
from providers.errors import ProviderError
from providers.prometheus_history import PrometheusHistory
from runtime.secrets import resolve_secrets
from tests.providers.envoy_harness import SHOP
from tests.providers.prometheus_harness import running_prometheus
from tests.providers.prometheus_past import openmetrics

MINUTES = 400
"""More than two of the spans that are asked for at a time."""
ENDS = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
LABELS = '{app="{{service}}",version="{{version}}"}'


@pytest.fixture
async def history() -> AsyncIterator[PrometheusHistory]:
    source = PrometheusHistory(lambda text: resolve_secrets(text, {}))
    yield source
    await source.aclose()


@pytest.fixture
async def spec(tmp_path: Path) -> AsyncIterator[PrometheusMetrics]:
    instances = {
        "a": [(100, 0)] * 200 + [(-1, 0)] + [(50, 1)] * (MINUTES - 201),
        "b": [(70, 2)] * MINUTES,
    }
    async with running_prometheus(tmp_path / "prometheus", {}, openmetrics("v1", instances, ENDS)) as url:
        yield PrometheusMetrics(
            provider="prometheus",
            url=url,
            requests=f"http_requests_total{LABELS} # all of them",
            errors=f"sum by (pod, instance) (http_errors_total{LABELS})",
            instance_label="pod",
        )


async def asked(
    history: PrometheusHistory, spec: PrometheusMetrics, version: str = "v1"
) -> dict[str, list[CounterPoint]]:
    told: list[str] = []
    found = await history.instances(
        SHOP, spec, version, ENDS - timedelta(minutes=MINUTES), ENDS + timedelta(minutes=1), told.append
    )
    assert len(told) == 3
    assert told[0].startswith(f"{version} on 20")
    return {name: list(points) for name, points in found.items()}


async def test_every_instance_has_its_counters_minute_by_minute(
    history: PrometheusHistory, spec: PrometheusMetrics
) -> None:
    found = await asked(history, spec)

    assert sorted(found) == ["a", "b"]
    begins = ENDS.timestamp() - 60 * MINUTES
    assert found["b"][:3] == [
        CounterPoint(begins, 0, None), CounterPoint(begins + 60, 70, 2), CounterPoint(begins + 120, 140, 4)
    ]  # fmt: skip
    assert [point.at for point in found["b"]] == [begins + 60 * minute for minute in range(MINUTES + 2)]
    assert found["b"][MINUTES].requests == 70 * MINUTES
    assert [point.requests for point in found["a"][199:203]] == [19_900, 20_000, 0, 50]
    assert [point.errors for point in found["a"][201:204]] == [None, 1, 2]


async def test_a_version_that_never_was_has_no_instances(history: PrometheusHistory, spec: PrometheusMetrics) -> None:
    assert await asked(history, spec, "v9") == {}


async def test_what_does_not_tell_instances_apart_is_refused(
    history: PrometheusHistory, spec: PrometheusMetrics
) -> None:
    with pytest.raises(ProviderError, match=r"finds nothing with the label host.*instance_label") as refused:
        await asked(history, spec.model_copy(update={"instance_label": "host"}))
    assert not refused.value.retryable

    with pytest.raises(ProviderError, match="The query of errors"):
        await asked(history, spec.model_copy(update={"errors": f"sum(http_errors_total{LABELS})"}))

    with pytest.raises(ProviderError, match=r"refuses the query summ\(up\)"):
        await asked(history, spec.model_copy(update={"requests": "summ(up)"}))
