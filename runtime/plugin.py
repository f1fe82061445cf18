"""What every client, worker, replayer and test environment shares, so that no place can forget a part of it."""

from collections.abc import Sequence
from dataclasses import replace

from temporalio.client import Interceptor as ClientInterceptor
from temporalio.plugin import SimplePlugin
from temporalio.worker import Interceptor as WorkerInterceptor
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime.converter import UnreadableActivities, data_converter
from runtime.keyring import Keyring

PASSED_THROUGH = (
    "models",
    "analysis",
    "activities",
    "providers",
    "runtime",
    "workflows",
    "structlog",
    "sentry_sdk",
    "opentelemetry",
)
"""Modules that workflows share with the process. The sandbox loads all others anew for each workflow, which for an
incident takes a quarter of all that its worker does until somebody is paged. It would catch a clock, a random number or
a file that slipped into a workflow's own module, but not into what that imports: tests/workflows/test_purity.py reads
all of it.
"""

NO_KEYS = Keyring()


def holdfast_plugin(
    interceptors: Sequence[ClientInterceptor | WorkerInterceptor] = (), keyring: Keyring = NO_KEYS
) -> SimplePlugin:
    """Return the plugin to give to a client, a replayer or a test environment.

    Workers made from such a client have it already: giving it to them again would run everything twice.
    An error in workflow code is a bug, and its task is retried until a worker with a fix runs. So it is with a payload
    whose key this process lacks, or that it cannot read as a newer front door or build wrote it: what must not die
    waits for a worker that can. A workflow that is rather to fail says so in its own `workflow.defn`.
    """
    return SimplePlugin(
        "holdfast",
        data_converter=data_converter(keyring),
        interceptors=[*interceptors, UnreadableActivities()],
        workflow_runner=_sandboxed,
    )


def _sandboxed(runner: WorkflowRunner | None) -> WorkflowRunner:
    if runner is None:
        runner = SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner  # chosen on purpose, to debug workflow code
    return replace(runner, restrictions=runner.restrictions.with_passthrough_modules(*PASSED_THROUGH))
