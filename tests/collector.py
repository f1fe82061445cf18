"""An OpenTelemetry collector as far as traces go: https://opentelemetry.io/docs/specs/otlp/#otlphttp."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


@dataclass(frozen=True)
class Span:
    """One span as it arrived. `parent` is empty for the root of a trace; times in nanoseconds since the epoch."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    failed: bool
    attributes: dict[str, str]


class Collector(ThreadingHTTPServer):
    """Keeps every span in the order of arrival, and the bytes they came in."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Receiver)
        self._lock = Lock()
        self._spans: list[Span] = []
        self.raw = b""
        self.headers_seen: list[dict[str, str]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def received(self, body: bytes, headers: dict[str, str]) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.raw += body
            self.headers_seen.append(headers)
            for process in request.resource_spans:
                service = {item.key: item.value.string_value for item in process.resource.attributes}["service.name"]
                self._spans += [_span(service, span) for scope in process.scope_spans for span in scope.spans]

    def spans(self, trace: str | None = None) -> list[Span]:
        with self._lock:
            return [span for span in self._spans if trace in (None, span.trace)]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.name == name]


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    with Collector(port) as collector:
        thread = Thread(target=collector.serve_forever, args=(0.05,), name="collector")
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            self.server.received(body, {name.lower(): value for name, value in self.headers.items()})
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def _span(service: str, span: WireSpan) -> Span:
    return Span(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes={item.key: item.value.string_value for item in span.attributes},
    )
