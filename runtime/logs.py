"""Log lines of what runs workflows and activities: the run and the trace of a line stand in fields of their own."""

from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

from opentelemetry import trace
from structlog.typing import EventDict
from temporalio import activity, workflow

from runtime.log_lines import write_lines
from runtime.settings import Settings

_RUN_FIELDS = {
    "workflow_id": "workflow_id",
    "run_id": "run_id",
    "workflow_run_id": "run_id",
    "workflow_type": "workflow_type",
    "activity_type": "activity_type",
    "activity_id": "activity_id",
    "attempt": "attempt",
    "task_queue": "task_queue",
    "update_id": "update_id",
    "update_name": "update_name",
}
"""The SDK's names for what a line belongs to, and ours: a run id has one name wherever it is logged."""


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Make every log line of this process ours, on `stream` (standard error). Calling again replaces the former."""
    write_lines(settings, stream, more_fields=(_name_the_run, _name_the_trace, _flatten_core_fields))
    _keep_messages_plain()


def _keep_messages_plain() -> None:
    """The SDK would repeat in the message what its lines carry as fields.

    Rendering is the process's business, not the workflow's, so the sandbox's restrictions are lifted for it.
    """
    workflow.logger.workflow_info_on_message = False
    workflow.logger.unsafe_disable_sandbox()
    activity.logger.activity_info_on_message = False


def _name_the_run(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Flatten what the SDK says about the run; an ordinary logger used inside an activity is told it too."""
    event.pop("__temporal_error_identifier", None)
    details = event.pop("temporal_workflow", None) or event.pop("temporal_activity", None) or _current_activity()
    for theirs, ours in _RUN_FIELDS.items():
        if theirs in details:
            event.setdefault(ours, details[theirs])
    return event


def _name_the_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(current.trace_id))
    return event


def _current_activity() -> Mapping[str, object]:
    if not activity.in_activity():
        return {}
    info = activity.info()
    return {
        "workflow_id": info.workflow_id,
        "run_id": info.workflow_run_id,
        "workflow_type": info.workflow_type,
        "activity_type": info.activity_type,
        "activity_id": info.activity_id,
        "attempt": info.attempt,
        "task_queue": info.task_queue,
    }


def _flatten_core_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    core = event.pop("temporal_log", None)
    if core is not None:
        event["core_target"] = core.target
        for key, value in core.fields.items():
            event.setdefault(f"core_{key}", value)
    return event
