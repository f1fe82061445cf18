"""The SDK's own runtime: its metrics for Prometheus, and its warnings in our log."""

import logging
from collections.abc import Sequence

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from models.quantities import HostPort

CORE_LOGGER = "temporalio.core"

_BUCKETS: dict[str, Sequence[float]] = {
    "holdfast_rollout_duration": [5, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600],
    "holdfast_rollback_duration": [0.5, 1, 2, 5, 10, 30, 60, 300, 1800],
    "holdfast_incident_acknowledge_duration": [15, 60, 120, 300, 600, 900, 1800, 3600, 4 * 3600, 12 * 3600],
    "holdfast_incident_resolve_duration": [
        60,
        300,
        900,
        1800,
        3600,
        2 * 3600,
        4 * 3600,
        12 * 3600,
        24 * 3600,
        72 * 3600,
    ],
}
"""In seconds. The SDK's own end at ten, and a rollout may wait for a person over night."""


def temporal_runtime(metrics_address: HostPort | None) -> Runtime:
    """Build the one runtime of a process; with an address it serves `http://<address>/metrics`.

    The names are Temporal's usual ones (`temporal_…`), so that published dashboards work, with Prometheus' units and
    suffixes. Raises OSError when the address cannot be listened on.
    """
    telemetry = TelemetryConfig(
        logging=LoggingConfig(
            filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
            forwarding=LogForwardingConfig(
                logger=logging.getLogger(CORE_LOGGER),
                append_target_to_name=False,
                prepend_target_on_message=False,
                append_log_fields_to_message=False,
            ),
        ),
        metrics=None if metrics_address is None else _prometheus(metrics_address),
    )
    try:
        return Runtime(telemetry=telemetry)
    except (RuntimeError, ValueError) as error:
        if metrics_address is None:
            raise
        raise OSError(
            f"metrics cannot be served at {metrics_address}: {error}. "
            "Set HOLDFAST_WORKER_METRICS_PORT to a free port, or to 0 for any."
        ) from error


def quiet_runtime() -> Runtime:
    """For a command: the SDK would write its warnings on stdout, into the midst of what `--json` prints."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


def _prometheus(address: HostPort) -> PrometheusConfig:
    return PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=_BUCKETS,
    )
