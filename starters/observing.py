"""Looking at a rollout from outside: its state, the newest evidence, and what it waits for."""

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from models.judgement import WatchProgress
from models.rollout import RolloutState
from starters.handles import RolloutHandle
from workflows.rollout import Rollout

PATIENCE = timedelta(seconds=2)


@dataclass(frozen=True)
class Observation:
    """`exists` and `open` tell of the workflow; `trouble` is a sentence about what keeps it, or us, waiting."""

    exists: bool = True
    open: bool = True
    status: str = ""
    run_id: str | None = None
    state: RolloutState | None = None
    progress: WatchProgress | None = None
    trouble: str | None = None


async def observe(handle: RolloutHandle, before: Observation | None = None) -> Observation:
    """Look once. What cannot be seen now is taken from the look before."""
    before = before or Observation()
    try:
        description = await handle.describe(rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Observation(exists=False, open=False)
        return replace(before, trouble="Temporal does not answer; what was decided goes on once it is back")
    status = description.status.name.lower() if description.status else ""
    seen = replace(
        before,
        exists=True,
        open=description.status is WorkflowExecutionStatus.RUNNING,
        status=status,
        run_id=description.run_id,
        progress=await _progress(description),
        trouble=await _trouble(description),
    )
    try:
        return replace(seen, state=await handle.query(Rollout.state, rpc_timeout=PATIENCE))
    except (RPCError, WorkflowQueryFailedError):
        waiting = "no worker answers on queue rollouts; the rollout goes on once `holdfast worker all` runs"
        return replace(seen, trouble=seen.trouble or waiting)


async def _progress(description: WorkflowExecutionDescription) -> WatchProgress | None:
    for pending in description.raw_description.pending_activities:
        if pending.activity_type.name == "traffic.watch" and pending.heartbeat_details.payloads:
            decoded = await description.data_converter.decode(pending.heartbeat_details.payloads, [WatchProgress])
            progress = decoded[0]
            return progress if isinstance(progress, WatchProgress) else None
    return None


async def _trouble(description: WorkflowExecutionDescription) -> str | None:
    """A pending activity that failed before says why; the watch reports its own trouble."""
    for pending in description.raw_description.pending_activities:
        if pending.attempt > 1 and pending.last_failure.message:
            failure = await description.data_converter.decode_failure(pending.last_failure)
            why = failure.message if isinstance(failure, FailureError) else str(failure)
            return f"{pending.activity_type.name}, attempt {pending.attempt}: {why}"
    return None
