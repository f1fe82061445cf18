"""A keeper's metrics for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from keeper.status import Status
from models.quantities import HostPort


class KeeperMetrics(Collector):
    """Read from the status at each scrape, so that nothing is counted twice."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        report = self._status.ready()
        yield GaugeMetricFamily(
            "holdfast_keeper_ready", "1 while leases that nobody renews are carried out", value=report.ok
        )
        leases = GaugeMetricFamily("holdfast_keeper_leases", "leases that are not settled", labels=["state"])
        leases.add_metric(["held"], report.held)
        leases.add_metric(["lapsed"], report.lapsed)
        yield leases
        yield GaugeMetricFamily(
            "holdfast_keeper_troubles", "leases and files that cannot be dealt with now", value=len(report.troubles)
        )
        yield CounterMetricFamily(
            "holdfast_keeper_carried_out", "leases carried out because nobody renewed them", value=report.carried_out
        )


@contextmanager
def serving_metrics(status: Status, host: str, port: int) -> Iterator[HostPort]:
    """Answer `/metrics` from threads; port 0 takes any free one. Yields the address.

    Raises OSError when the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(KeeperMetrics(status))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise OSError(
            f"metrics cannot be served at {host}:{port}: {error.strerror}. "
            "Set HOLDFAST_KEEPER_METRICS_PORT to a free port, or to 0 for any."
        ) from error
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
