"""`holdfast deploy`: start the rollout of a version."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from models.catalog import Service
from models.ids import ServiceRef, Version, rollout_id
from models.record import Verb
from models.rollout import Phase, RolloutRequest, RolloutResult
from models.temporal_names import SearchAttribute, TaskQueue
from starters.exits import CommandError, Exit
from starters.live import follow
from starters.observing import observe
from starters.options import CatalogOption, JsonOption, NoteOption, ServiceArgument, WaitOption
from starters.output import print_json
from starters.refusals import record_refusal
from starters.session import RolloutHandle, Session, from_where, parse_version, who
from workflows.rollout import Rollout


def deploy(
    service: ServiceArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="the version to roll out")],
    wait: WaitOption = False,
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Roll a version of a service out, step by step, as its catalog says.

    With --wait the exit code is 0 when the version serves all traffic and 1 when it was taken back.
    """
    session = Session.open(catalog)
    ref, spec = session.service(service)
    request = RolloutRequest(
        ref=ref,
        version=parse_version(version),
        spec=spec,
        requested_by=who(),
        reason=note,
        from_where=from_where(),
    )
    asyncio.run(roll_out(session, request, wait=wait, as_json=as_json))


async def roll_out(session: Session, request: RolloutRequest, *, wait: bool, as_json: bool) -> None:
    """Start the rollout and say so, or watch it to its end and leave with the exit code that tells how it went."""
    handle = await start_rollout(await session.client(), request)
    if wait:
        result = await watch_to_its_end(handle, as_json=as_json)
        raise typer.Exit(exit_code_of(result.outcome))
    link = session.ui_link(request.ref)
    if as_json:
        print_json({"workflow_id": handle.id, "run_id": handle.first_execution_run_id, "ui": link})
        return
    typer.echo(f"The rollout of {request.ref.service} {request.version} has begun.")
    typer.echo(f"Watch it with `holdfast status {request.ref.service} --watch`" + (f", or at {link}" if link else "."))


async def start_rollout(client: Client, request: RolloutRequest) -> RolloutHandle:
    """Start the workflow. Raises CommandError when a rollout of the service is under way."""
    try:
        return await client.start_workflow(
            Rollout.run,
            request,
            id=rollout_id(request.ref),
            task_queue=TaskQueue.ROLLOUTS,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"{request.spec.rollout.strategy} {request.ref.service} {request.version} → "
            f"{request.ref.environment}",
            static_details=_details(request),
            search_attributes=_search_attributes(request.ref, request.version, request.spec),
        )
    except WorkflowAlreadyStartedError as error:
        verb = Verb.ROLLBACK if request.at_once else Verb.DEPLOY
        why = "a rollout is under way"
        await record_refusal(client, verb, request.ref, why=why, version=request.version, note=request.reason)
        raise CommandError(await _already_under_way(client, request.ref), Exit.REFUSED) from error


def exit_code_of(outcome: Phase) -> Exit:
    return Exit.OK if outcome in {Phase.PROMOTED, Phase.UNCHANGED} else Exit.NEGATIVE


async def watch_to_its_end(handle: RolloutHandle, *, as_json: bool) -> RolloutResult:
    """Show a rollout until it has ended; with `as_json`, the picture goes to stderr and the result to stdout."""
    console = Console(stderr=as_json)
    try:
        await follow(handle, console)
        result = await handle.result()
    except WorkflowFailureError as error:
        raise CommandError(
            f"The rollout was ended from outside: {error.cause}. `holdfast status` shows what it did last.",
            Exit.NEGATIVE,
        ) from error
    except asyncio.CancelledError:
        typer.echo("\nNo longer watching; the rollout goes on by itself.", err=True)
        raise
    if as_json:
        print_json(result)
    return result


def _details(request: RolloutRequest) -> str:
    return f"Asked for by {request.requested_by}." + (f" {request.reason}" if request.reason else "")


def _search_attributes(ref: ServiceRef, version: Version, spec: Service) -> TypedSearchAttributes:
    values = {
        SearchAttribute.SERVICE: ref.service,
        SearchAttribute.ENVIRONMENT: ref.environment,
        SearchAttribute.VERSION: version,
        SearchAttribute.STRATEGY: spec.rollout.strategy,
        SearchAttribute.PHASE: Phase.PREPARING,
    }
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), str(value)) for name, value in values.items()]
    )


async def _already_under_way(client: Client, ref: ServiceRef) -> str:
    seen = await observe(client.get_workflow_handle_for(Rollout.run, rollout_id(ref)))
    what = f"{seen.state.version}, {seen.state.phase.replace('_', ' ')}" if seen.state else "its state is not known yet"
    return (
        f"A rollout of {ref.service} is under way ({what}), and a service has one at a time. "
        f"Watch it with `holdfast status {ref.service} --watch`, or end it with `holdfast abort {ref.service}`."
    )
