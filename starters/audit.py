"""`holdfast audit`: who ordered what, when, from where, and what became of it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.audit import AuditEntry
from models.ids import ServiceRef
from models.mistakes import MistakeError
from models.quantities import parse_duration
from starters.exits import CommandError, Exit
from starters.local_time import local_clock
from starters.options import CatalogOption, JsonOption
from starters.output import print_json
from starters.session import Session

_LIMIT = 10_000


def audit(
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="one service; all without")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_LIMIT, help="how many, the newest first")] = 50,
    since: Annotated[str | None, typer.Option("--since", metavar="DURATION", help="not older than, like 24h")] = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was ordered, the newest first, refused orders too."""
    session = Session.open(catalog)
    ref = session.service(service)[0] if service else None
    entries = asyncio.run(_entries(session, ref, limit, _moment(since)))
    if as_json:
        print_json({"entries": [entry.model_dump(mode="json") for entry in entries]})
        return
    table = Table("at", "who", "what", "service", "version", "outcome", "why", "from", box=None, header_style="dim")
    for entry in entries:
        table.add_row(*(Text(cell) for cell in _cells(entry)))  # people wrote some of it, brackets and all
    Console().print(table)


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    return (
        local_clock(entry.at),
        entry.who,
        entry.what,
        str(entry.ref),
        entry.version or "",
        entry.outcome.replace("_", " "),
        entry.why or entry.note,
        entry.from_where,
    )


def _moment(since: str | None) -> datetime | None:
    if since is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(since)
    except MistakeError as error:
        raise CommandError(f"--since: {error}", Exit.BAD_INPUT) from error
    except OverflowError as error:
        raise CommandError(f"--since: {since} ago there was nothing.", Exit.BAD_INPUT) from error


async def _entries(
    session: Session, ref: ServiceRef | None, limit: int, since: datetime | None
) -> tuple[AuditEntry, ...]:
    async with session.records() as store:
        return await store.audit(ref, limit, since)
