"""`holdfast incident`: what is wrong now, what was, and what people do about it."""

import asyncio
import uuid
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.search_attributes import of_incident
from analysis.dedupe import dedupe_key
from analysis.placing import rules_of
from models.ids import IncidentRef, incident_id
from models.incident import IncidentRecord, IncidentRequest, IncidentState
from models.notification import NotificationKind
from models.severity import Severity
from models.temporal_names import TaskQueue
from starters import incident_orders, incident_watch
from starters.exits import CommandError, Exit
from starters.handles import incident_called
from starters.incident_finding import IncidentArgument, Seen, found_incident, open_incidents
from starters.incident_show import print_incident
from starters.local_time import local_clock
from starters.options import CatalogOption, JsonOption, NoteOption
from starters.output import print_json
from starters.session import Session, from_where, who
from workflows.incident import Incident

PATIENCE = timedelta(seconds=10)
_LIMIT = 10_000

app = typer.Typer(help="See what is wrong, take care of it, and say when it is over.", no_args_is_help=True)

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=_LIMIT, help="how many, the newest first")]


@app.command(name="list")
def list_incidents(
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="of one service; of all without")] = None,
    past: Annotated[bool, typer.Option("--all", "-a", help="closed ones too, from the records")] = False,
    limit: LimitOption = 50,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the incidents that are not closed, the newest first."""
    session = Session.open(catalog)
    if past:
        _print_past(asyncio.run(_past(session, service, limit)), as_json=as_json)
    else:
        _print_open(asyncio.run(_open(session, service, limit)), as_json=as_json)


@app.command()
def show(
    incident: IncidentArgument,
    every: Annotated[bool, typer.Option("--all", "-a", help="every alert, not the first ones only")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how an incident stands, its alerts and its timeline; of one that is closed, as the records have it."""
    session = Session.open(catalog)
    found = asyncio.run(_look(session, incident))
    if as_json:
        print_json(found)
        return
    print_incident(found, every_alert=every)


@app.command(name="open")
def open_incident(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="what it is about; need not be in the catalog")],
    title: Annotated[str, typer.Argument(metavar="TITLE", help="what is wrong, in a few words")],
    severity: Annotated[Severity, typer.Option("--severity", "-s", help="how grave it is")] = Severity.SEV2,
    policy: Annotated[str, typer.Option("--policy", "-p", help="the escalation policy that pages for it")] = "default",
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open an incident by hand, which pages at once."""
    session = Session.open(catalog)
    request = _request(session, service, title, severity, policy, note)
    asyncio.run(_start(session, request))
    if as_json:
        print_json({"incident": str(request.ref), "workflow_id": incident_id(request.ref)})
    else:
        typer.echo(f"{request.ref}: opened as {severity}; `holdfast incident ack {request.ref}` takes care of it.")


@app.command()
def inbox(limit: LimitOption = 20, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show what the target console was sent, the newest first."""
    session = Session.open(catalog)

    async def read() -> None:
        async with session.records() as store:
            found = await store.notifications(limit, target="console")
        if as_json:
            print_json({"messages": [each.model_dump(mode="json") for each in found]})
            return
        table = Table("due", "what", "severity", "incident", "title", "text", box=None, header_style="dim")
        for each in found:
            message = each.notification
            what = f"page, level {message.level}" if message.kind is NotificationKind.PAGE else "update"
            cells = (what, message.severity, str(message.incident), message.title, message.text)
            table.add_row(local_clock(message.due_at), *(Text(cell) for cell in cells))
        Console().print(table)

    asyncio.run(read())


for command in (*incident_orders.app.registered_commands, *incident_watch.app.registered_commands):
    app.registered_commands.append(command)


def _request(session: Session, service: str, title: str, severity: Severity, policy: str, note: str) -> IncidentRequest:
    catalog = session.catalog()
    try:
        rules = rules_of(catalog.incidents, policy)
    except KeyError as error:
        known = ", ".join(sorted(catalog.incidents.policies))
        raise CommandError(f"There is no policy {policy}; the catalog has {known}.", Exit.BAD_INPUT) from error
    try:
        key = dedupe_key("person", uuid.uuid4().hex, title)
        ref = IncidentRef(environment=catalog.environment, service=service, key=key)
        return IncidentRequest(
            ref=ref,
            title=title,
            severity=severity,
            rules=rules,
            opened_by=who(),
            note=note,
            from_where=from_where(),
        )
    except ValueError as error:
        raise CommandError(f"This cannot be an incident's name or title: {error}", Exit.BAD_INPUT) from error


async def _start(session: Session, request: IncidentRequest) -> None:
    client = await session.client()
    try:
        await client.start_workflow(
            Incident.run,
            request,
            id=incident_id(request.ref),
            task_queue=TaskQueue.INCIDENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=f"{request.severity} {request.ref.service}: {request.title}"[:200],
            search_attributes=of_incident(request),
            rpc_timeout=PATIENCE,
        )
    except WorkflowAlreadyStartedError as error:
        raise CommandError(f"The incident {request.ref} is open already.", Exit.REFUSED) from error


async def _look(session: Session, asked: str) -> IncidentState | IncidentRecord:
    client = await session.client()
    ref = await found_incident(client, session, asked)
    state = await _state(client, ref)
    if state is not None:
        return state
    async with session.records() as store:
        record = await store.incident(ref)
    if record is None:
        raise CommandError(
            f"Neither Temporal nor the records know an incident {ref}; `holdfast incident list --all` lists them.",
            Exit.REFUSED,
        )
    return record


async def _state(client: Client, ref: IncidentRef) -> IncidentState | None:
    handle = incident_called(client, incident_id(ref))
    try:
        return await handle.query(Incident.state, rpc_timeout=PATIENCE)
    except WorkflowQueryFailedError as error:
        raise CommandError(f"The incident {ref} did not answer: {error}", Exit.UNREACHABLE) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise CommandError(
            f"The incident {ref} did not answer. Start workers with `holdfast up` or `holdfast worker incidents`.",
            Exit.UNREACHABLE,
        ) from error


async def _open(session: Session, service: str | None, limit: int) -> list[Seen]:
    found = [seen async for seen in open_incidents(await session.client(), session, service)]
    return sorted(found, key=lambda seen: seen.opened_at, reverse=True)[:limit]


async def _past(session: Session, service: str | None, limit: int) -> tuple[IncidentRecord, ...]:
    async with session.records() as store:
        return await store.incidents(session.catalog().environment, limit, service=service)


def _print_open(found: list[Seen], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"incident": str(seen.ref), "phase": seen.phase, "severity": seen.severity, "opened_at": seen.opened_at}
            for seen in found
        ]
        print_json({"incidents": rows})
        return
    table = Table("opened", "severity", "phase", "incident", box=None, header_style="dim")
    for seen in found:
        opened = local_clock(seen.opened_at)
        table.add_row(opened, seen.severity, seen.phase, Text(str(seen.ref)))
    Console().print(table)


def _print_past(found: tuple[IncidentRecord, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"incidents": [record.model_dump(mode="json") for record in found]})
        return
    table = Table("opened", "severity", "phase", "alerts", "incident", "title", box=None, header_style="dim")
    for record in found:
        opened = local_clock(record.opened_at)
        cells = (str(record.count), str(record.ref), record.title)
        table.add_row(opened, record.severity, record.phase, *(Text(cell) for cell in cells))
    Console().print(table)
