"""What activities count. The SDK adds the activity's type and task queue; docs/observability.md lists the names."""

from temporalio import activity


def provider_failed(provider: str, error: str, *, retryable: bool) -> None:
    """One call of a provider failed; `error` is the class, as texts would be labels without end."""
    labels = {"provider": provider, "error": error, "retryable": str(retryable).lower()}
    meter = activity.metric_meter()
    meter.create_counter("holdfast_provider_errors", "calls of a provider that failed").add(1, labels)


def metrics_read(provider: str, *, missed: bool) -> None:
    """A watch looked at a candidate's metrics once; a missed look is time that does not count as healthy."""
    labels = {"provider": provider, "result": "missed" if missed else "read"}
    meter = activity.metric_meter()
    meter.create_counter("holdfast_watch_readings", "looks at a candidate's metrics").add(1, labels)
