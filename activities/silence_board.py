"""Talking to the silences of an environment: orders by update, and reading what Temporal shows of them."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from models.ids import silences_id
from models.silences import MEMO, AddSilence, ExpireSilence, KeptSilence, SilenceBoard, SilencesState
from models.temporal_names import SILENCES_WORKFLOW, SearchAttribute, SilencesUpdate, TaskQueue


def new_silence_id() -> str:
    """One that no other silence has."""
    return f"s-{uuid.uuid4().hex[:10]}"


class SilenceRefusedError(Exception):
    """The order makes no sense now; the sentence says why."""


class SilencesUnansweredError(Exception):
    """Nobody answered in time. The order may have been taken; given again with the same id it is taken once."""


async def order_silences(
    client: Client, environment: str, order: AddSilence | ExpireSilence, patience: timedelta
) -> KeptSilence:
    """Give an order, and start what keeps silences unless it runs.

    Raises SilenceRefusedError and SilencesUnansweredError.
    """
    update = SilencesUpdate.ADD if isinstance(order, AddSilence) else SilencesUpdate.EXPIRE
    try:
        async with asyncio.timeout(patience.total_seconds()):
            answer = await client.execute_update_with_start_workflow(
                update, order, start_workflow_operation=_start(environment), result_type=KeptSilence
            )
    except WorkflowUpdateFailedError as error:
        said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise SilenceRefusedError(said) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, RPCError) as error:
        raise SilencesUnansweredError(str(error)) from error
    return KeptSilence.model_validate(answer)


async def read_silences(client: Client, environment: str, patience: timedelta) -> tuple[KeptSilence, ...]:
    """What is kept, as Temporal shows it, whether a worker runs or not.

    Raises RPCError; ValueError for what this version does not understand.
    """
    handle = client.get_workflow_handle(silences_id(environment))
    try:
        described = await handle.describe(rpc_timeout=patience)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ()  # nobody ever silenced anything
        raise
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return ()  # somebody terminated it, by which all is forgotten
    board = await described.memo_value(MEMO, SilenceBoard(), type_hint=SilenceBoard)
    return board.silences


def _start(environment: str) -> WithStartWorkflowOperation[Any, Any]:
    key = SearchAttributeKey.for_keyword(SearchAttribute.ENVIRONMENT)
    return WithStartWorkflowOperation(
        SILENCES_WORKFLOW,
        SilencesState(environment=environment),
        id=silences_id(environment),
        task_queue=TaskQueue.INCIDENTS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"silences in {environment}",
        search_attributes=TypedSearchAttributes([SearchAttributePair(key, environment)]),
    )
