"""`holdfast incident watch`: what is open now, for as long as somebody looks."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from analysis.incident_watch import Change, IncidentRow, changes, in_order, in_words, row_of, stands
from models.ids import incident_id
from models.incident import Phase
from models.severity import Severity
from starters.exits import CommandError, Exit
from starters.handles import incident_called
from starters.incident_finding import Seen, open_incidents
from starters.options import CatalogOption, JsonOption
from starters.session import Session
from workflows.incident import Incident

EVERY = timedelta(seconds=1)
PATIENCE = timedelta(seconds=2)
AT_ONCE = 16
MOST_ASKED = 200
"""Of more at once, which nobody reads, only what Temporal's list says of them is shown."""

_SHOWN = 40
_NO_TEMPORAL = "Temporal does not answer; what is shown was seen last, and incidents go on once it is back"
_NO_WORKER = "no worker answers on queue incidents; incidents go on once `holdfast worker incidents` runs"
_STYLES = {Severity.SEV1: "bold red", Severity.SEV2: "bold yellow", Severity.SEV3: "yellow", Severity.SEV4: "dim"}
_PHASE_STYLES = {Phase.TRIGGERED: "bold red", Phase.ACKNOWLEDGED: "cyan", Phase.RESOLVED: "green"}

app = typer.Typer()


@dataclass(frozen=True)
class Look:
    """What was seen, by the incidents' names; `trouble` is a sentence about what keeps us from seeing more."""

    rows: dict[str, IncidentRow] = field(default_factory=dict)
    trouble: str = ""


@app.command()
def watch(
    incidents: Annotated[
        list[str] | None,
        typer.Argument(metavar="INCIDENT", help="names, or parts of them; all that are open without"),
    ] = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch the incidents that are not closed, until Ctrl-C; with names, until those are closed.

    On a terminal the picture changes; elsewhere, and with --json, each change is a line.
    """
    session = Session.open(catalog)
    asyncio.run(_watch(session, tuple(incidents or ()), Console(), as_json=as_json))


async def _watch(session: Session, wanted: Sequence[str], console: Console, *, as_json: bool) -> None:
    client = await session.client()
    seen = await look(client, session, wanted, Look())
    if wanted and not seen.rows and not seen.trouble:
        raise CommandError(
            f"No open incident has {' or '.join(map(repr, wanted))} in its name; `holdfast incident list` lists those "
            "that are open.",
            Exit.REFUSED,
        )
    if console.is_terminal and not as_json:
        await _live(client, session, wanted, seen, console)
    else:
        await _by_lines(client, session, wanted, seen, Lines(as_json=as_json))


async def _live(client: Client, session: Session, wanted: Sequence[str], seen: Look, console: Console) -> None:
    with Live(picture(seen, datetime.now(UTC)), console=console, refresh_per_second=5) as live:
        while not _over(seen, wanted):
            seen = await _next(client, session, wanted, seen)
            live.update(picture(seen, datetime.now(UTC)))


async def _by_lines(client: Client, session: Session, wanted: Sequence[str], seen: Look, lines: "Lines") -> None:
    lines.show(seen, datetime.now(UTC))
    while not _over(seen, wanted):
        seen = await _next(client, session, wanted, seen)
        lines.show(seen, datetime.now(UTC))


async def _next(client: Client, session: Session, wanted: Sequence[str], seen: Look) -> Look:
    began = time.monotonic()
    found = await look(client, session, wanted, seen)
    await asyncio.sleep(max(EVERY.total_seconds(), time.monotonic() - began))  # half of the time, at the most
    return found


def _over(seen: Look, wanted: Sequence[str]) -> bool:
    return bool(wanted) and not seen.rows and not seen.trouble


async def look(client: Client, session: Session, wanted: Sequence[str], before: Look) -> Look:
    """Look once. What cannot be seen now is taken from the look before."""
    try:
        listed = [
            seen
            async for seen in open_incidents(client, session)
            if not wanted or any(part in str(seen.ref) for part in wanted)
        ]
    except CommandError as error:
        if error.code is not Exit.UNREACHABLE:
            raise
        return replace(before, trouble=_NO_TEMPORAL)
    gravest = sorted(listed, key=lambda seen: (seen.phase == Phase.PENDING, seen.severity, seen.opened_at))
    asked, told = gravest[:MOST_ASKED], gravest[MOST_ASKED:]
    asking = _Asking(client)
    rows = await asyncio.gather(*(asking.row(seen, before.rows.get(str(seen.ref))) for seen in asked))
    found = {row.incident: row for row in (*rows, *map(_as_listed, told)) if row is not None}
    return Look(found, asking.trouble)


class _Asking:
    """Asks incidents how they stand; once one was not answered by anybody, the others are not asked either."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.trouble = ""

    async def row(self, seen: Seen, before: IncidentRow | None) -> IncidentRow | None:
        """None for one that is over by now."""
        async with self._turns:
            if self.trouble:
                return before or _as_listed(seen)
            handle = incident_called(self._client, incident_id(seen.ref))
            try:
                state = await handle.query(Incident.state, rpc_timeout=PATIENCE)
            except (RPCError, WorkflowQueryFailedError) as error:
                if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                    return None
                self.trouble = _NO_WORKER
                return before or _as_listed(seen)
        return None if state.phase is Phase.CLOSED else row_of(state)


def _as_listed(seen: Seen) -> IncidentRow:
    return IncidentRow(incident=str(seen.ref), severity=seen.severity, phase=seen.phase, since=seen.opened_at)


def picture(seen: Look, now: datetime) -> RenderableType:
    parts: list[RenderableType] = []
    rows = in_order(list(seen.rows.values()))
    if rows:
        table = Table("severity", "stands", "for", "who", "next", "alerts", "incident", box=None, header_style="dim")
        for row in rows[:_SHOWN]:
            table.add_row(*_cells(row, now))
        parts.append(table)
    else:
        parts.append(Text("Nothing is wrong." if not seen.trouble else "Nothing was seen yet.", "green"))
    if len(rows) > _SHOWN:
        parts.append(Text(f"and {len(rows) - _SHOWN} more; `holdfast incident list` has all of them", "dim"))
    if seen.trouble:
        parts.append(Text(seen.trouble, "yellow"))
    return Group(*parts)


def _cells(row: IncidentRow, now: datetime) -> tuple[Text, ...]:
    severity = _STYLES.get(Severity(row.severity), "") if row.severity in list(Severity) else ""
    phase = _PHASE_STYLES.get(Phase(row.phase), "") if row.phase in list(Phase) else ""
    alerts = "" if row.alerts is None else str(row.alerts)
    return (
        Text(row.severity, severity),
        Text(row.phase, phase),
        Text(in_words(now - row.since)),
        Text(row.who),
        Text(stands(row, now)),
        Text(alerts, justify="right"),
        Text.assemble((row.incident, "bold"), f"  {row.title}"),
    )


class Lines:
    """Tells what is new since the last look, a line each."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._rows: dict[str, IncidentRow] = {}
        self._trouble = ""

    def show(self, seen: Look, now: datetime) -> None:
        for change, row in changes(self._rows, seen.rows):
            self._tell(change, row, now)
        self._rows = seen.rows
        if seen.trouble != self._trouble:
            self._trouble = seen.trouble
            if self._as_json:
                self._say(json.dumps({"at": now.isoformat(), "trouble": seen.trouble or None}))
            else:
                self._say(f"{now.astimezone():%H:%M:%S} {seen.trouble or 'all of it is seen again'}")

    def _tell(self, change: Change, row: IncidentRow, now: datetime) -> None:
        if self._as_json:
            self._say(json.dumps({"at": now.isoformat(), "change": change, **row.model_dump(mode="json")}))
            return
        told = [row.phase if change is not Change.CLOSED else "closed"]
        told += [f"by {row.who}"] if row.who else []
        told += [stands(row, now)] if stands(row, now) and change is not Change.CLOSED else []
        told += [f"{row.alerts} alerts"] if row.alerts is not None else []
        title = f" {row.title}" if row.title else ""
        self._say(f"{now.astimezone():%H:%M:%S} {row.severity} {row.incident}{title}: {', '.join(told)}")

    def _say(self, line: str) -> None:
        typer.echo(line)
