"""`holdfast deploy`: start the rollout of a version."""

import asyncio
import uuid
from typing import Annotated

import typer

from models.ids import ServiceRef, Version
from models.rollout import RolloutRequest
from starters.launching import IfBusy, launch, turn_of
from starters.options import CatalogOption, IfBusyOption, JsonOption, NoteOption, ServiceArgument, WaitOption
from starters.output import print_json
from starters.picture import draw_and_name
from starters.session import Session, from_where, parse_version, who
from starters.watching import exit_code_of, watch_to_its_end


def deploy(
    service: ServiceArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="the version to roll out")],
    wait: WaitOption = False,
    if_busy: IfBusyOption = IfBusy.REFUSE,
    emergency: Annotated[
        str, typer.Option("--emergency", metavar="REASON", help="go on in spite of a freeze or a cooldown")
    ] = "",
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Roll a version of a service out, step by step, as its catalog says.

    With --wait the exit code is 0 when the version serves all traffic and 1 when it was taken back.
    """
    session = Session.open(catalog)
    request = request_for(session, service, parse_version(version), note=note, emergency=emergency)
    asyncio.run(roll_out(session, request, if_busy=if_busy, wait=wait, as_json=as_json))


def request_for(
    session: Session, service: str, version: Version, *, note: str, emergency: str = "", at_once: bool = False
) -> RolloutRequest:
    """What the catalog says now of the service, and who asks. Raises CommandError for an unknown service."""
    catalog = session.catalog()  # read once: who edits it meanwhile gets one or the other
    session.check_service(catalog, service)
    return RolloutRequest(
        id=uuid.uuid4().hex,
        ref=ServiceRef(environment=catalog.environment, service=service),
        version=version,
        spec=catalog.services[service],
        requested_by=who(),
        reason=note,
        from_where=from_where(),
        guard=catalog.guard_rules(service),
        emergency=emergency,
        at_once=at_once,
    )


async def roll_out(session: Session, request: RolloutRequest, *, if_busy: IfBusy, wait: bool, as_json: bool) -> None:
    """Start the rollout and say so, or watch it to its end and leave with the exit code that tells how it went."""
    client = await session.client()
    launched = await launch(client, request, if_busy)
    service = request.ref.service
    if wait:
        if launched.waits:
            typer.echo(launched.waits, err=True)
        handle = launched.handle or await turn_of(client, request)
        result = await watch_to_its_end(handle, as_json=as_json)
        if result.exposed_at and not as_json and handle.run_id:
            for path in await draw_and_name(session, request.ref, handle.run_id):
                typer.echo(f"Picture: {path}")
        raise typer.Exit(exit_code_of(result.outcome))
    link = session.ui_link(request.ref)
    if as_json:
        run_id = launched.handle.run_id if launched.handle else None
        print_json({"workflow_id": launched.workflow_id, "run_id": run_id, "waits": launched.waits, "ui": link})
        return
    typer.echo(launched.waits or f"The rollout of {service} {request.version} has begun.")
    typer.echo(f"Watch it with `holdfast status {service} --watch`" + (f", or at {link}" if link else "."))
