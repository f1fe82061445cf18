"""What is known of a service's past: the records first, and Temporal for what they do not hold yet."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import typer
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from analysis.rollout_history import merged, unaccounted
from models.audit import Verb
from models.ids import ServiceRef, rollout_id
from models.rollout import PastRollout, Phase
from models.temporal_names import ROLLOUT_WORKFLOW, SearchAttribute
from starters.exits import CommandError, Exit
from starters.session import Session

PATIENCE = timedelta(seconds=5)
_ORDERS_EACH = 10
"""So many orders of a rollout are looked through, and more where others have fewer."""


@dataclass(frozen=True)
class _Part:
    """What one of the two knows, or the sentence that says why it does not answer."""

    rollouts: tuple[PastRollout, ...] = ()
    trouble: str | None = None


async def past_rollouts(session: Session, ref: ServiceRef, limit: int) -> list[PastRollout]:
    """The newest first. Says on stderr which of the two does not answer; raises CommandError when neither does."""
    recorded, seen = await asyncio.gather(_recorded(session, ref, limit), _seen(session, ref, limit))
    if recorded.trouble and seen.trouble:
        raise CommandError(f"{seen.trouble} {recorded.trouble}", Exit.UNREACHABLE)
    if recorded.trouble:
        typer.echo(f"This is what Temporal still knows, without the records. {recorded.trouble}", err=True)
    if seen.trouble:
        typer.echo(f"This is what is recorded; what is under way may be missing. {seen.trouble}", err=True)
        return merged(recorded.rollouts, (), limit)
    doubtful = [await _asked(session, ref, each) for each in unaccounted(recorded.rollouts, seen.rollouts)]
    return merged(recorded.rollouts, (*seen.rollouts, *doubtful), limit)


async def _recorded(session: Session, ref: ServiceRef, limit: int) -> _Part:
    try:
        async with session.records() as store:
            records, orders = await store.rollouts(ref, limit), await store.audit(ref, _ORDERS_EACH * limit)
    except CommandError as error:
        return _Part(trouble=str(error))
    back = {entry.key.partition("/")[0] for entry in orders if entry.what == Verb.ROLLBACK}
    return _Part(tuple(record.past.model_copy(update={"back": record.run_id in back}) for record in records))


async def _seen(session: Session, ref: ServiceRef, limit: int) -> _Part:
    query = (
        f"WorkflowType = '{ROLLOUT_WORKFLOW}' AND {SearchAttribute.SERVICE} = '{ref.service}' "
        f"AND {SearchAttribute.ENVIRONMENT} = '{ref.environment}'"
    )
    try:
        found = (await session.client()).list_workflows(query, limit=limit, rpc_timeout=PATIENCE)
        return _Part(tuple([_past(execution) async for execution in found]))
    except CommandError as error:
        return _Part(trouble=str(error))
    except RPCError as error:
        return _Part(
            trouble=f"Temporal could not list the rollouts of {ref.service}: {error.message}. "
            "`holdfast doctor` looks further."
        )


async def _asked(session: Session, ref: ServiceRef, recorded: PastRollout) -> PastRollout:
    """A rollout of which no end is recorded and which is not listed: just begun, or ended by force long ago."""
    handle = (await session.client()).get_workflow_handle(rollout_id(ref), run_id=recorded.run_id)
    try:
        description = await handle.describe(rpc_timeout=PATIENCE)
    except RPCError as error:
        gone = error.status is RPCStatusCode.NOT_FOUND
        return recorded.model_copy(update={"cut_off": gone})
    running = description.status is WorkflowExecutionStatus.RUNNING
    return recorded.model_copy(update={"ended_at": description.close_time, "cut_off": not running})


def _past(execution: WorkflowExecution) -> PastRollout:
    def keyword(name: SearchAttribute, default: str) -> str:
        return execution.typed_search_attributes.get(SearchAttributeKey.for_keyword(name)) or default

    phase = Phase(keyword(SearchAttribute.PHASE, Phase.PREPARING))
    return PastRollout(
        version=keyword(SearchAttribute.VERSION, "unknown"),
        strategy=keyword(SearchAttribute.STRATEGY, "unknown"),
        phase=phase,
        started_at=execution.start_time,
        ended_at=execution.close_time,
        run_id=execution.run_id,
        cut_off=execution.close_time is not None and not phase.final,
    )
