import asyncio
import urllib.request

import pytest

from models.quantities import HostPort
from runtime.client import connect
from runtime.settings import Settings
from runtime.telemetry import temporal_runtime
from tests.workers.dev_server import free_port


def _metrics(address: HostPort) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
        return bytes(response.read()).decode()


async def test_the_sdks_metrics_are_served_for_prometheus(temporal: HostPort) -> None:
    address = f"127.0.0.1:{free_port()}"
    await connect(Settings(temporal_address=temporal), runtime=temporal_runtime(address))
    metrics = await asyncio.to_thread(_metrics, address)
    assert "temporal_request_total{" in metrics
    assert 'operation="DescribeNamespace"' in metrics
    assert "temporal_request_latency_seconds_bucket" in metrics


async def test_a_port_that_is_taken_is_named_with_the_way_out(temporal: HostPort) -> None:
    with pytest.raises(OSError, match=rf"{temporal}.*HOLDFAST_WORKER_METRICS_PORT"):
        temporal_runtime(temporal)
