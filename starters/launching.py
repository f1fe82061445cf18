"""Starting a rollout, or finding its place behind the one that is under way."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.audit import Verb
from models.ids import ServiceRef, rollout_id
from models.rollout import WAY_BACK_FIRST, Phase, RolloutRequest, Successor
from models.temporal_names import TaskQueue
from starters.exits import CommandError, Exit
from starters.handles import RolloutHandle, rollout_of
from starters.observing import Observation, observe
from starters.refusals import record_refusal
from workflows.rollout import Rollout
from workflows.rollout_attributes import search_attributes

_TRIES = 5
_EVERY = timedelta(milliseconds=400)
_PATIENCE = timedelta(seconds=10)


class IfBusy(StrEnum):
    """What becomes of a rollout that is asked for while another of the same service is under way."""

    REFUSE = "refuse"
    WAIT = "wait"
    SUPERSEDE = "supersede"


@dataclass(frozen=True)
class Launched:
    """A rollout that has begun has a `handle`; for one that comes next, `waits` says on what."""

    workflow_id: str
    handle: RolloutHandle | None = None
    waits: str | None = None


async def launch(client: Client, request: RolloutRequest, if_busy: IfBusy) -> Launched:
    """Start the rollout, or hand it to the one under way if it may wait. Raises CommandError when it may not.

    One that is promoted and only keeps the old version for a while makes way at once.
    """
    for _ in range(_TRIES):
        handle = await _started(client, request)
        if handle:
            return Launched(handle.id, handle=handle)
        current = rollout_of(client, request.ref)
        seen = await observe(current)
        settled = seen.state is not None and seen.state.phase is Phase.KEEPING and seen.state.next is None
        if if_busy is IfBusy.REFUSE and not settled:
            verb = Verb.ROLLBACK if request.at_once else Verb.DEPLOY
            why = "a rollout is under way"
            await record_refusal(client, verb, request.ref, why=why, version=request.version, note=request.reason)
            raise CommandError(_already_under_way(request.ref, seen), Exit.REFUSED)
        waits = await _queued(current, Successor(request=request, supersede=if_busy is IfBusy.SUPERSEDE))
        if waits:
            return Launched(current.id, waits=waits)
    raise CommandError(
        f"Rollouts of {request.ref.service} begin and end faster than this one could be started; try again.",
        Exit.REFUSED,
    )


async def turn_of(client: Client, request: RolloutRequest) -> RolloutHandle:
    """Wait until a rollout that comes next has begun. Raises CommandError when another took its place."""
    while True:
        latest = await client.get_workflow_handle(rollout_id(request.ref)).describe()
        handle = rollout_of(client, request.ref, latest.run_id)
        state = (await observe(handle)).state
        if state and state.request_id == request.id:
            return handle
        if latest.status not in {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}:
            raise CommandError(
                f"{request.version} no longer waits: the rollout before it was ended from outside. Ask for it again.",
                Exit.REFUSED,
            )
        if state and not (state.next and state.next.request_id == request.id):
            raise CommandError(
                f"{request.version} no longer waits: another rollout took its place. "
                f"See `holdfast history {request.ref.service}`.",
                Exit.REFUSED,
            )
        await asyncio.sleep(_EVERY.total_seconds())


async def _started(client: Client, request: RolloutRequest) -> RolloutHandle | None:
    """The rollout's own run; None when another is under way."""
    try:
        started = await client.start_workflow(
            Rollout.run,
            request,
            id=rollout_id(request.ref),
            task_queue=TaskQueue.ROLLOUTS,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"{request.spec.rollout.strategy} {request.ref.service} {request.version} → "
            f"{request.ref.environment}",
            static_details=f"Asked for by {request.requested_by}." + (f" {request.reason}" if request.reason else ""),
            search_attributes=search_attributes(request),
        )
    except WorkflowAlreadyStartedError:
        return None
    return rollout_of(client, request.ref, started.result_run_id)


async def _queued(current: RolloutHandle, successor: Successor) -> str | None:
    """What the rollout under way says to its successor; None when it has just ended, or is about to make way for one
    that is decided.
    """
    request = successor.request
    try:
        answer = await current.execute_update(Rollout.follow, successor, id=request.id, rpc_timeout=_PATIENCE)
    except WorkflowUpdateFailedError as error:
        if isinstance(error.cause, ApplicationError) and error.cause.type == WAY_BACK_FIRST:
            await asyncio.sleep(_EVERY.total_seconds())
            return None
        said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise CommandError(f"{request.ref.service}: {said}.", Exit.REFUSED) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise CommandError(
            f"No worker answered within {_PATIENCE.seconds} s, so {request.version} may not have been taken. "
            f"Look with `holdfast status {request.ref.service}`, and ask again if need be.",
            Exit.UNREACHABLE,
        ) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return f"{request.ref.service}: {answer.text}."


def _already_under_way(ref: ServiceRef, seen: Observation) -> str:
    what = f"{seen.state.version}, {seen.state.phase.replace('_', ' ')}" if seen.state else "its state is not known yet"
    return (
        f"A rollout of {ref.service} is under way ({what}), and a service has one at a time. "
        f"Watch it with `holdfast status {ref.service} --watch`, end it with `holdfast abort {ref.service}`, "
        "or add --if-busy wait or --if-busy supersede."
    )
