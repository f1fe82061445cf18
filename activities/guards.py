"""Asking a service's guard, and looking for the guard whether a holder still runs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from temporalio import activity
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.search_attributes import keywords
from models.deployment import Done
from models.guard import Acquire, Grant, GuardState, Holder, HolderRuns, Refusal, Release
from models.ids import ServiceRef, guard_id
from models.temporal_names import GUARD_WORKFLOW, GuardUpdate, SearchAttribute, TaskQueue

WINDOWS_BEFORE = timedelta(hours=1)
WINDOWS_AFTER = timedelta(days=8)
"""A request may wait for a guard's worker; the freezes sent along cover that, and at least a week's."""

_CLOSED = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
}


class GuardActivities:
    """Each attempt of one activity sends the very same message: its id is made of the holder's run and the activity.

    So a worker that dies between a grant and its report changes nothing. Errors of Temporal are retried.
    """

    def __init__(self, client: Callable[[], Client] = activity.client) -> None:
        self._client = client

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.acquire, self.release, self.holder_runs]

    @activity.defn(name="guard.acquire")
    async def acquire(self, asked: Acquire) -> Grant | Refusal:
        """Ask with the freezes as instants: then the guard's decision depends on no clock or time-zone data."""
        now = activity.info().started_time
        windows = tuple(
            window
            for freeze in asked.rules.freezes
            for window in freeze.windows(now - WINDOWS_BEFORE, now + WINDOWS_AFTER)
        )
        answer = await self._client().execute_update_with_start_workflow(
            GuardUpdate.ACQUIRE,
            asked.model_copy(update={"windows": windows}),
            start_workflow_operation=guard_start(asked.ref),
            id=_message_id(),
            result_type=cast("type", Grant | Refusal),
        )
        return cast("Grant | Refusal", answer)

    @activity.defn(name="guard.release")
    async def release(self, asked: Release) -> Done:
        await self._client().execute_update_with_start_workflow(
            GuardUpdate.RELEASE,
            asked,
            start_workflow_operation=guard_start(asked.ref),
            id=_message_id(),
            result_type=Done,
        )
        return Done()

    @activity.defn(name="guard.holder_runs")
    async def holder_runs(self, holder: Holder) -> HolderRuns:
        """Whether the newest run of this workflow is open and belongs to the holder's chain of runs."""
        handle = self._client().get_workflow_handle(holder.workflow_id)
        try:
            info = (await handle.describe()).raw_info
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return HolderRuns(runs=False)
            raise
        if info.status in _CLOSED:
            return HolderRuns(runs=False)
        newest = self._client().get_workflow_handle(holder.workflow_id, run_id=info.execution.run_id)
        return HolderRuns(runs=holder.run_id == await _first_run_of(newest))


async def _first_run_of(run: WorkflowHandle[Any, Any]) -> str:
    """The first run of the chain that a run belongs to, as its own first event tells."""
    async for event in run.fetch_history_events(page_size=1):
        return event.workflow_execution_started_event_attributes.first_execution_run_id
    return run.run_id or ""


def guard_start(ref: ServiceRef) -> WithStartWorkflowOperation[Any, Any]:
    """Start the guard of a service, unless it runs: the first half of every message to it."""
    attributes = {SearchAttribute.SERVICE: ref.service, SearchAttribute.ENVIRONMENT: ref.environment}
    return WithStartWorkflowOperation(
        GUARD_WORKFLOW,
        GuardState(ref=ref),
        id=guard_id(ref),
        task_queue=TaskQueue.GUARDS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"guard of {ref.service} in {ref.environment}",
        search_attributes=keywords(attributes),
    )


def _message_id() -> str:
    info = activity.info()
    return f"{info.workflow_id}/{info.workflow_run_id}/{info.activity_id}"
