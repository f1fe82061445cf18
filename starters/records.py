"""`holdfast records`: the database of what happened."""

import asyncio

import typer

from records.schema import RecordsStatus
from starters.exits import Exit
from starters.options import JsonOption
from starters.output import print_json
from starters.session import Session

app = typer.Typer(help="Look after the records: what was rolled out, and who ordered it.", no_args_is_help=True)


@app.command()
def migrate(as_json: JsonOption = False) -> None:
    """Make the tables, or bring them up to date. The records worker does so too when it starts."""
    status, found = asyncio.run(_migrate(Session.open()))
    if as_json:
        print_json({"database": status.database, "before": found, "now": status.found})
    elif found == status.found:
        typer.echo(f"{status.database} is up to date (revision {status.found}).")
    else:
        typer.echo(f"{status.database} was brought from {found or 'nothing'} to revision {status.found}.")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Say where the records are and what they hold; the exit code is 1 when their tables are not up to date."""
    found = asyncio.run(_status(Session.open()))
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found.database}: {found.rollouts} rollouts, {found.audit} audit entries, {_revision(found)}.")
    raise typer.Exit(Exit.OK if found.current else Exit.NEGATIVE)


def _revision(status: RecordsStatus) -> str:
    if status.newer:
        return f"revision {status.found} of a newer Holdfast; this one knows up to {status.wanted}"
    if status.current:
        return f"revision {status.found}, up to date"
    return f"revision {status.found or 'none'}; `holdfast records migrate` brings it to {status.wanted}"


async def _migrate(session: Session) -> tuple[RecordsStatus, str | None]:
    async with session.records() as store:
        found = await store.migrate()
        return await store.status(), found.found


async def _status(session: Session) -> RecordsStatus:
    async with session.records() as store:
        return await store.status()
