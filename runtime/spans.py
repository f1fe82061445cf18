"""Making and sending spans, loaded only where traces are wanted."""

import logging
from collections.abc import Mapping, Sequence

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TraceState
from opentelemetry.util.re import parse_env_headers
from opentelemetry.util.types import Attributes
from pydantic import AnyHttpUrl, SecretStr
from temporalio import workflow
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor, create_tracer_provider

SEND_EVERY_MS = 1000
"""A worker that is killed takes its unsent spans with it, so they wait for one second instead of the usual five."""

SEND_TIMEOUT_S = 3.0

_CHATTY = ("opentelemetry.exporter", "opentelemetry.sdk", "opentelemetry.context")
"""They log a stack trace for each failed attempt to send, of which `_Discreet` says once what matters, and for each
workflow that is let go of while it is open, which is no error."""

_LOOKS = ("QueryWorkflow:", "HandleQuery:")
_SAFE_IN_EVENTS = ("exception.type",)

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # a command, which keeps no log, prints nothing of this


class Spans:
    """The tracing of one process. Makes itself OpenTelemetry's global provider, where Temporal's interceptor looks."""

    def __init__(self, endpoint: AnyHttpUrl, headers: SecretStr | None, identity: Mapping[str, str]) -> None:
        for chatty in _CHATTY:
            logging.getLogger(chatty).setLevel(logging.CRITICAL + 1)
        # Left to itself it would hold up the interpreter's exit for as long as the collector is away.
        self._provider = create_tracer_provider(
            sampler=_WithoutLooks(), resource=Resource.create(dict(identity)), shutdown_on_exit=False
        )
        self._sending = _Outbox(_Discreet(endpoint, headers), schedule_delay_millis=SEND_EVERY_MS)
        self._provider.add_span_processor(self._sending)
        trace.set_tracer_provider(self._provider)
        self._command: Span | None = None

    def interceptor(self) -> Interceptor:
        return OpenTelemetryInterceptor(add_temporal_spans=True)

    def begin(self, name: str) -> None:
        if self._command is None:
            self._command = self._provider.get_tracer(__name__).start_span(name)
            context.attach(trace.set_span_in_context(self._command))

    def end(self, exit_code: int | None) -> None:
        if self._command is not None and exit_code is not None:
            self._command.set_attribute("process.exit.code", exit_code)
            self._command.set_status(StatusCode.ERROR if exit_code else StatusCode.OK)
        if self._command is not None:
            self._command.end()

    def flush(self) -> None:
        self._sending.force_flush()


class _Outbox(BatchSpanProcessor):
    """Leaves out the spans of workflows that did not end. A worker that stops lets go of its open workflows, and the
    interceptor then ends their spans; the worker that goes on will send the same ones with their real end.
    """

    def on_end(self, span: ReadableSpan) -> None:
        if workflow.in_workflow() or not _of_a_workflow(span):
            super().on_end(span)


def _of_a_workflow(span: ReadableSpan) -> bool:
    """By what the interceptor notes: an activity's span has its id beside the run's, a client's has no run."""
    noted = span.attributes or {}
    return "temporalRunID" in noted and "temporalActivityID" not in noted


class _WithoutLooks(Sampler):
    """Who watches a rollout asks for its state twice a second: such looks would bury what happened."""

    def __init__(self) -> None:
        self._usual = ParentBased(ALWAYS_ON)

    def should_sample(
        self,
        parent_context: context.Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if name.startswith(_LOOKS):
            return SamplingResult(Decision.DROP)
        return self._usual.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return "all but looks at a state"


class _Discreet(SpanExporter):
    """Sends what happened, not what was said: error texts may quote a payload, so that only their types go out."""

    def __init__(self, endpoint: AnyHttpUrl, headers: SecretStr | None) -> None:
        self._url = f"{str(endpoint).rstrip('/')}/v1/traces"
        said = headers.get_secret_value() if headers else ""
        self._exporter = OTLPSpanExporter(
            endpoint=self._url, headers=parse_env_headers(said, liberal=True), timeout=SEND_TIMEOUT_S
        )
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export([_without_texts(span) for span in spans])
        taken = result is SpanExportResult.SUCCESS
        if taken and not self._taken:
            logger.info("Traces are taken again")
        elif self._taken and not taken:
            logger.warning("Traces are not taken at %s and are dropped; is the collector up?", self._url)
        self._taken = taken
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library left it out


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_without_text(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_text(event: Event) -> Event:
    safe = {key: value for key, value in (event.attributes or {}).items() if key in _SAFE_IN_EVENTS}
    return Event(event.name, safe, event.timestamp)
