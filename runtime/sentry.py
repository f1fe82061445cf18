"""Unexpected failures, reported to Sentry: https://docs.sentry.io/platforms/python/.

Expected is what Temporal knows as a failure: an ApplicationError says no on purpose, a cancellation was asked for, and
a failed activity was already reported by the worker that ran it. Everything else is a bug that someone must see.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from temporalio import activity, workflow
from temporalio.exceptions import FailureError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from runtime.settings import Settings

FLUSH_TIMEOUT = timedelta(seconds=2)
"""How long a process that stops may wait for its last reports to be sent."""


def init_sentry(settings: Settings) -> bool:
    """Start reporting when SENTRY_DSN is set; returns whether it is. Logged errors are reported, too.

    Only named integrations run: others would patch HTTP clients and add headers. Local variables and personal data
    stay out of reports.
    """
    if settings.sentry_dsn is None:
        return False
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.sentry_environment,
        release=f"holdfast@{version('holdfast')}",
        include_local_variables=False,
        max_breadcrumbs=0,
        traces_sample_rate=None,
        auto_session_tracking=False,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None),
            ExcepthookIntegration(),
            ThreadingIntegration(),
            DedupeIntegration(),
        ],
    )
    return True


def flush_sentry() -> None:
    """Send what is still queued; blocks for FLUSH_TIMEOUT at most. Does nothing where Sentry was not started."""
    sentry_sdk.flush(timeout=FLUSH_TIMEOUT.total_seconds())


def sentry_interceptors(settings: Settings) -> list[Interceptor]:
    return [] if settings.sentry_dsn is None else [SentryInterceptor()]


class SentryInterceptor(Interceptor):
    """Reports what activities and workflows of a worker raise without meaning to."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - SDK's name
        return _Activities(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - SDK's name; it wants nothing from the sandbox
    ) -> type[WorkflowInboundInterceptor]:
        return _Workflows


class _Activities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - SDK's name
        with _reporting(_report_from_activity):
            return await super().execute_activity(input)


class _Workflows(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - SDK's name
        with _reporting(_report_from_workflow):
            return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - SDK's name
        with _reporting(_report_from_workflow):
            await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002 - SDK's name
        with _reporting(_report_from_workflow):
            return await super().handle_update_handler(input)


@contextmanager
def _reporting(report: Callable[[Exception], None]) -> Iterator[None]:
    try:
        yield
    except FailureError:
        raise
    except Exception as error:
        report(error)
        raise


def _report_from_activity(error: Exception) -> None:
    info = activity.info()
    if not _worth_reporting(info.attempt):
        return
    tags = {
        "temporal.kind": "activity",
        "temporal.workflow_id": info.workflow_id or "",
        "temporal.run_id": info.workflow_run_id or "",
        "temporal.workflow_type": info.workflow_type or "",
        "temporal.activity_type": info.activity_type,
        "temporal.attempt": str(info.attempt),
        "temporal.task_queue": info.task_queue,
    }
    _report(error, tags)


def _worth_reporting(attempt: int) -> bool:
    """The 1st, 2nd, 4th, 8th, … attempt: an activity that is retried for ever must not flood whoever reads."""
    return attempt & (attempt - 1) == 0


def _report_from_workflow(error: Exception) -> None:
    if workflow.unsafe.is_replaying():
        return
    info = workflow.info()
    tags = {
        "temporal.kind": "workflow",
        "temporal.workflow_id": info.workflow_id,
        "temporal.run_id": info.run_id,
        "temporal.workflow_type": info.workflow_type,
        "temporal.attempt": str(info.attempt),
        "temporal.task_queue": info.task_queue,
    }
    # Reporting reads the clock and hands over to a thread. None of it reaches the workflow's decisions.
    with workflow.unsafe.sandbox_unrestricted(), workflow.unsafe.imports_passed_through():
        _report(error, tags)


def _report(error: Exception, tags: Mapping[str, str]) -> None:
    with sentry_sdk.new_scope() as scope:
        scope.set_tags(dict(tags))
        scope.capture_exception(error)
