"""Writes one picture to the records, however long the database is away."""

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.records import RecordActivities
    from models.deployment import Done
    from models.record import ToRecord
    from models.temporal_names import RECORDING_WORKFLOW, TaskQueue
    from workflows.policies import MUST_BE_RECORDED, on


@workflow.defn(name=RECORDING_WORKFLOW)
class Recording:
    """A workflow of its own, so that what is recorded need not wait for the records, and may end before them."""

    @workflow.run
    async def run(self, entries: ToRecord) -> Done:
        return await write(entries)


async def hand_over(entries: ToRecord, *, recording: str, summary: str) -> None:
    """Have this written by a workflow of its own, which outlives the caller; wait only until it has begun."""
    try:
        await workflow.start_child_workflow(
            Recording.run,
            entries,
            id=recording,
            task_queue=TaskQueue.RECORDS,
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=summary,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("This is being recorded already")


async def write(entries: ToRecord) -> Done:
    """Raises ActivityError when it is cancelled, and for nothing else: it is retried until it is done."""
    return await workflow.execute_activity_method(
        RecordActivities.write, entries, **on(TaskQueue.RECORDS, MUST_BE_RECORDED, "write to the records")
    )
