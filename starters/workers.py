"""`holdfast workers`: which build of the workers takes the work, and which builds are needed no more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from starters.exits import CommandError, Exit
from starters.options import JsonOption
from starters.output import print_json
from starters.session import Session, who

REGISTERS_WITHIN = timedelta(seconds=30)
"""How long a build's workers may take to be known to Temporal after they are ready."""

_PAUSE = 0.5
_UNKNOWN = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}

app = typer.Typer(help="Say which build of the workers takes the work.", no_args_is_help=True)


class Build(BaseModel):
    """One build of the workers. `pinned` workflows end on it; `moving` ones go on with the current build by
    themselves, and were last decided on by this one.
    """

    build_id: str
    current: bool
    pinned: int
    moving: int

    @property
    def needed(self) -> bool:
        return self.current or self.pinned > 0


@app.command()
def current(build_id: Annotated[str, typer.Argument(metavar="BUILD_ID", help="HOLDFAST_BUILD_ID of workers")]) -> None:
    """Give all work to the workers of this build: what begins, and what is under way.

    To be run once its workers are ready. Naming the build before takes a new one back.
    """
    session = Session.open()
    before = asyncio.run(_set_current(session, build_id))
    was = f"; before it was {before}" if before and before != build_id else ""
    typer.echo(f"Build {build_id} of {session.settings.deployment_name} is current{was}.")


@app.command()
def drained(as_json: JsonOption = False) -> None:
    """Show which builds still hold open workflows; exit code 1 while one that is not current is needed."""
    builds = asyncio.run(_builds(Session.open()))
    if as_json:
        print_json({"builds": [{**build.model_dump(), "needed": build.needed} for build in builds]})
    else:
        console = Console()
        for build in builds:
            console.print(f"{build.build_id}: {_sentence(build)}", markup=False, highlight=False, soft_wrap=True)
    if any(build.pinned and not build.current for build in builds):
        raise typer.Exit(Exit.NEGATIVE)


def _sentence(build: Build) -> str:
    held = f"{build.pinned + build.moving} open"
    if build.current:
        return f"current; {held}"
    if build.pinned:
        return f"needed: {held}, of which {build.pinned} are pinned to it and end on it"
    moving = f"; the {build.moving} open that it decided on last go on with the current build" if build.moving else ""
    return f"needed no more{moving}"


async def _set_current(session: Session, build_id: str) -> str:
    """Returns the build that was current, empty for none. Raises CommandError."""
    client, name = await session.client(), session.settings.deployment_name
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=name, build_id=build_id, identity=who()
    )
    refusal = ""
    try:
        async with asyncio.timeout(REGISTERS_WITHIN.total_seconds()):
            while True:
                try:
                    answer = await client.workflow_service.set_worker_deployment_current_version(request)
                except RPCError as error:
                    if error.status not in _UNKNOWN:
                        raise
                    refusal = error.message
                else:
                    return answer.previous_deployment_version.build_id
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise CommandError(
            f"Build {build_id} of {name} was not made current: {refusal}. Start its workers, one for every queue that "
            f"the current build serves, with HOLDFAST_BUILD_ID={build_id}, and wait for their /readyz.",
            Exit.REFUSED,
        ) from None


async def _builds(session: Session) -> list[Build]:
    client, name = await session.client(), session.settings.deployment_name
    try:
        answer = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        raise CommandError(
            f"Temporal knows no workers of {name} with a build. Start them with HOLDFAST_BUILD_ID set.", Exit.REFUSED
        ) from error
    return [build async for build in _counted(client, answer.worker_deployment_info)]


async def _counted(client: Client, info: WorkerDeploymentInfo) -> AsyncIterator[Build]:
    now = info.routing_config.current_deployment_version.build_id
    for summary in info.version_summaries:
        build_id = summary.deployment_version.build_id
        version = f"TemporalWorkerDeploymentVersion = '{info.name}:{build_id}' AND ExecutionStatus = 'Running'"
        pinned = await client.count_workflows(f"{version} AND TemporalWorkflowVersioningBehavior = 'Pinned'")
        held = await client.count_workflows(version)
        yield Build(build_id=build_id, current=build_id == now, pinned=pinned.count, moving=held.count - pinned.count)
