"""`holdfast incident ack`, `resolve`, `escalate` and what else people tell an incident."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from analysis.incident_audit import words
from models.ids import IncidentRef, incident_id
from models.incident import AddTask, Assign, FinishTask, Merge, Note, Order, Role, Snooze
from models.mistakes import MistakeError
from models.quantities import parse_duration
from models.temporal_names import IncidentSignal
from starters.exits import CommandError, Exit
from starters.incident_finding import IncidentArgument, found_incident
from starters.options import CatalogOption, NoteOption
from starters.refusals import record_refusal
from starters.session import Session, from_where, who

PATIENCE = timedelta(seconds=10)

app = typer.Typer()


@app.command()
def ack(incident: IncidentArgument, note: NoteOption = "", catalog: CatalogOption = None) -> None:
    """Take care of an incident: nobody is paged for it any more."""
    _tell(incident, IncidentSignal.ACKNOWLEDGE, _order(note), catalog)


@app.command()
def resolve(incident: IncidentArgument, note: NoteOption = "", catalog: CatalogOption = None) -> None:
    """Say that an incident is over; fired again soon, it reopens."""
    _tell(incident, IncidentSignal.RESOLVE, _order(note), catalog)


@app.command()
def escalate(incident: IncidentArgument, note: NoteOption = "", catalog: CatalogOption = None) -> None:
    """Page the next level now."""
    _tell(incident, IncidentSignal.ESCALATE, _order(note), catalog)


@app.command()
def snooze(
    incident: IncidentArgument,
    lasting: Annotated[str, typer.Option("--for", metavar="DURATION", help="how long, like 2h or 90m")] = "1h",
    note: NoteOption = "",
    catalog: CatalogOption = None,
) -> None:
    """Page nobody for a while; then the policy begins anew."""
    try:
        time = parse_duration(lasting)
    except MistakeError as error:
        raise CommandError(f"--for: {error}.", Exit.BAD_INPUT) from error
    _tell(incident, IncidentSignal.SNOOZE, Snooze(by=who(), note=note, from_where=from_where(), lasting=time), catalog)


@app.command()
def unsnooze(incident: IncidentArgument, note: NoteOption = "", catalog: CatalogOption = None) -> None:
    """End a snooze before its time."""
    _tell(incident, IncidentSignal.UNSNOOZE, _order(note), catalog)


@app.command(name="note")
def write_note(
    incident: IncidentArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what is to stand on the timeline")],
    catalog: CatalogOption = None,
) -> None:
    """Write something on the timeline."""
    _tell(incident, IncidentSignal.NOTE, Note(by=who(), from_where=from_where(), text=text), catalog)


@app.command()
def assign(
    incident: IncidentArgument,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="who")],
    role: Annotated[Role, typer.Option("--role", help="of commanders there is one")] = Role.RESPONDER,
    note: NoteOption = "",
    catalog: CatalogOption = None,
) -> None:
    """Give somebody a role in an incident."""
    order = Assign(by=who(), note=note, from_where=from_where(), person=person, role=role)
    _tell(incident, IncidentSignal.ASSIGN, order, catalog)


@app.command()
def task(
    incident: IncidentArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what is to be done")],
    catalog: CatalogOption = None,
) -> None:
    """Add a task to an incident."""
    _tell(incident, IncidentSignal.ADD_TASK, AddTask(by=who(), from_where=from_where(), text=text), catalog)


@app.command()
def done(
    incident: IncidentArgument,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="the task's number")],
    note: NoteOption = "",
    catalog: CatalogOption = None,
) -> None:
    """Say that a task is done."""
    order = FinishTask(by=who(), note=note, from_where=from_where(), number=number)
    _tell(incident, IncidentSignal.FINISH_TASK, order, catalog)


@app.command()
def merge(
    incident: IncidentArgument,
    into: Annotated[str, typer.Argument(metavar="INTO", help="the incident that is to page for both")],
    note: NoteOption = "",
    catalog: CatalogOption = None,
) -> None:
    """Make an incident part of another, which pages and is resolved for both."""
    session = Session.open(catalog)

    async def tell() -> None:
        client = await session.client()
        whole = await found_incident(client, session, into)
        order = Merge(by=who(), note=note, from_where=from_where(), into=incident_id(whole))
        await _send(client, await found_incident(client, session, incident), IncidentSignal.MERGE, order)

    asyncio.run(tell())


@app.command()
def split(incident: IncidentArgument, note: NoteOption = "", catalog: CatalogOption = None) -> None:
    """Let an incident that was merged go its own way again."""
    _tell(incident, IncidentSignal.SPLIT, _order(note), catalog)


def _order(note: str) -> Order:
    return Order(by=who(), note=note, from_where=from_where())


def _tell(incident: str, signal: IncidentSignal, order: Order, catalog: Path | None) -> None:
    session = Session.open(catalog)

    async def tell() -> None:
        client = await session.client()
        await _send(client, await found_incident(client, session, incident), signal, order)

    asyncio.run(tell())


async def _send(client: Client, ref: IncidentRef, signal: IncidentSignal, order: Order) -> None:
    """A signal is taken when Temporal has it, whether a worker runs or not; the timeline tells what became of it."""
    try:
        await client.get_workflow_handle(incident_id(ref)).signal(signal, order, rpc_timeout=PATIENCE)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            await record_refusal(client, words(ref, signal), ref.of, why="it is not open", note=order.note)
            raise CommandError(
                f"No incident {ref} is open. `holdfast incident list` lists those that are.", Exit.REFUSED
            ) from error
        raise
    typer.echo(f"{ref}: {signal.replace('_', ' ')} is taken; `holdfast incident show {ref}` tells what became of it.")
