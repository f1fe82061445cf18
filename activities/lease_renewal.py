"""Keeping a lease for as long as an activity runs, and only while Temporal still wants it to run.

When the control plane is gone nobody could take back what the lease is for, so it must lapse though this worker lives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Never, TypeVar

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from models.keeper import LEASE_LAPSED, LEASE_LOST, RENEWALS_PER_DURATION, LeaseKey, LeaseStanding, LeaseState
from providers.errors import ProviderError
from providers.roles import LeaseKeeper

TEMPORAL_ANSWERS_WITHIN = timedelta(seconds=2)

StillWanted = Callable[[], Awaitable[bool]]
"""Whether Temporal answers and the run that this activity is for still runs."""

Result = TypeVar("Result")


async def run_goes_on() -> bool:
    """Ask Temporal, through the worker's own client, about the run that this activity belongs to.

    Its database has to answer for that: a frontend that is alive in front of a dead one promises nothing.
    """
    info = activity.info()
    client = activity.client()
    asked = DescribeWorkflowExecutionRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or ""),
    )
    try:
        described = await client.workflow_service.describe_workflow_execution(asked, timeout=TEMPORAL_ANSWERS_WITHIN)
    except RPCError as error:
        activity.logger.warning("The lease is not renewed, as Temporal does not answer: %s", error.message)
        return False
    status = described.workflow_execution_info.status
    return bool(status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING)


async def while_renewed(
    work: Coroutine[None, None, Result],
    keeper: LeaseKeeper,
    lease: LeaseKey,
    still_wanted: StillWanted,
    *,
    at_once: bool = True,
) -> Result:
    """Do the work with the lease renewed beside it, for the first time `at_once` or when it is next due.

    Raises ApplicationError (LEASE_LAPSED or LEASE_LOST, not retryable) as soon as the lease is no longer held; the
    work is then cancelled.
    """
    working = asyncio.create_task(work)
    renewing = asyncio.create_task(_renew(keeper, lease, still_wanted, at_once=at_once))
    try:
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else renewing.result()
    finally:
        for task in (working, renewing):
            task.cancel()
        await asyncio.gather(working, renewing, return_exceptions=True)


def ended(lease: LeaseKey, standing: LeaseStanding) -> ApplicationError:
    """What to raise for a lease that is not held."""
    if standing.state is LeaseState.CARRIED_OUT:
        since = standing.carried_out_at
        done = f"is undone since {since:%H:%M:%S} UTC" if since else "is being undone; that is tried each second"
        text = f"{lease.key} was not renewed for {_seconds(lease.duration)}: what it was for {done}"
        return ApplicationError(text, standing, type=LEASE_LAPSED, non_retryable=True)
    whose = f"{standing.held_by} has it" if standing.held_by else "it was settled, or its file is gone or damaged"
    return ApplicationError(
        f"the lease {lease.key} is no longer held: {whose}", standing, type=LEASE_LOST, non_retryable=True
    )


def lapsed_before(lease: LeaseKey, standing: LeaseStanding) -> str:
    """That the lease before this one had lapsed while nobody asked for it, in a sentence; empty if it had not."""
    if standing.lapsed_before is None:
        return ""
    since = f"{standing.lapsed_before:%H:%M:%S} UTC"
    return f"{lease.key} was not renewed for {_seconds(lease.duration)}: what it was for was undone from {since} on"


async def _renew(keeper: LeaseKeeper, lease: LeaseKey, still_wanted: StillWanted, *, at_once: bool) -> Never:
    pause = lease.duration.total_seconds() / RENEWALS_PER_DURATION
    if not at_once:
        await asyncio.sleep(pause)
    while True:
        if await still_wanted():
            try:
                standing = await keeper.renew(lease)
            except ProviderError as problem:
                activity.logger.warning("%s", problem)
            else:
                if standing.state is not LeaseState.HELD:
                    raise ended(lease, standing)
        await asyncio.sleep(pause)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
