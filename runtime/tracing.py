"""Traces: one per command, through the workflow it started to every activity: https://opentelemetry.io/docs/specs/otlp/.

Nothing of this is loaded, and no span exists, unless OTEL_EXPORTER_OTLP_ENDPOINT is set. Temporal's interceptor gives a
workflow's spans ids that a replay finds again, and sends none of them while replaying.
"""

import os
import socket
import threading
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from temporalio.client import Interceptor

from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.spans import Spans

FLUSH_TIMEOUT = timedelta(milliseconds=800)
"""How long a process that ends waits for its last spans to be taken; a person waits for the command's."""

_process: "Spans | None" = None
"""OpenTelemetry knows one provider per process, which cannot be replaced; this is ours."""


def init_tracing(settings: Settings, service: str) -> bool:
    """Start tracing this process under this name when an endpoint is set; returns whether it is."""
    global _process  # noqa: PLW0603 - see above
    if settings.otel_endpoint is None:
        return False
    if _process is None:
        from runtime.spans import Spans

        identity = {
            "service.name": service,
            "service.version": version("holdfast"),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
        _process = Spans(settings.otel_endpoint, settings.otel_headers, identity)
    return True


def tracing_interceptors() -> list[Interceptor]:
    """What a client needs to pass its trace on. Workers made from it have it, too."""
    return [] if _process is None else [_process.interceptor()]


def begin_command(settings: Settings, name: str) -> None:
    """Let everything that follows in this task be part of one span, which lasts until `end_tracing`."""
    if init_tracing(settings, "holdfast-command") and _process is not None:
        _process.begin(name)


def end_tracing(exit_code: int | None = None) -> None:
    """End the command's span, and send what is left; blocks for FLUSH_TIMEOUT at most, whatever the collector does."""
    if _process is None:
        return
    _process.end(exit_code)
    flushing = threading.Thread(target=_process.flush, name="flush traces", daemon=True)
    flushing.start()
    flushing.join(FLUSH_TIMEOUT.total_seconds())
