"""`holdfast silence`: what nobody is to be paged for, for a time or every week."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from activities.silence_board import (
    SilenceRefusedError,
    SilencesUnansweredError,
    new_silence_id,
    order_silences,
    read_silences,
)
from analysis.silences import concerns, shown, shown_of_catalog, spec_of
from models.audit import Verb
from models.calendar_words import parse_moment
from models.catalog import Catalog
from models.ids import ServiceRef
from models.matching import parse_matcher, split_matchers
from models.mistakes import MistakeError
from models.quantities import parse_duration
from models.silences import AddSilence, ExpireSilence, KeptSilence, SilenceShown, SilenceWords, Standing
from starters.exits import CommandError, Exit
from starters.local_time import local_clock
from starters.options import CatalogOption, JsonOption, NoteOption
from starters.output import print_json
from starters.refusals import record_refusal
from starters.session import Session, from_where, who

PATIENCE = timedelta(seconds=10)

app = typer.Typer(help="Say what nobody is to be paged for, and see what is silent.", no_args_is_help=True)

SilenceArgument = Annotated[str, typer.Argument(metavar="SILENCE", help="its id, or a beginning that only one has")]


@app.command()
def add(
    matchers: Annotated[
        list[str], typer.Argument(metavar="MATCHER", help="like alertname=DiskFull or env=~'prod|stage'; all must hold")
    ],
    lasting: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="how long, like 2h or 90m")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="until when, like '2026-12-27 08:00'; else local time")
    ] = None,
    begins: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="from when on; now without")] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="SPAN", help="a part of every week, like 'mon 02:00 – mon 03:00'"),
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="whose clock --every is read from")] = "UTC",
    by: Annotated[str | None, typer.Option("--by", metavar="WHO", help="who asks for it; you without")] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="why; people who wonder read it")] = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Silence alerts that match: they open no incident, and why is recorded. What is open already goes on.

    It counts within two seconds, and ends with --for or --until, or by `holdfast silence expire`; one with --every is a
    maintenance window, which comes again until it is expired.
    """
    session = Session.open(catalog)
    now = datetime.now(UTC)
    match = _matchers(matchers)
    written = {
        "match": match,
        "for": _duration(lasting),
        "until": _moment("--until", until),
        "from": _moment("--from", begins),
        "every": every,
        "zone": zone,
        "reason": reason,
    }
    try:
        words = SilenceWords.model_validate({name: value for name, value in written.items() if value is not None})
        spec = spec_of(words, new_silence_id(), now)
    except ValidationError as error:
        raise CommandError(_said(error), Exit.BAD_INPUT) from error
    except MistakeError as error:
        raise CommandError(f"This cannot be silenced so: {error}.", Exit.BAD_INPUT) from error
    order = AddSilence(spec=spec, by=by or who(), from_where=from_where())
    kept = shown(asyncio.run(_give(session, order, concerns(session.catalog().environment, spec))), now)
    if as_json:
        print_json(kept)
        return
    what = "silent" if kept.standing is Standing.ACTIVE else "silent later"
    typer.echo(
        f"{kept.id}: {', '.join(kept.match)} is {what}, {_when(kept)}. `holdfast silence expire {kept.id}` ends it."
    )


@app.command(name="list")
def list_silences(
    past: Annotated[bool, typer.Option("--all", "-a", help="those that have ended lately, too")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is silent now or later: what people asked for, and what the catalog says."""
    session = Session.open(catalog)
    found = [each for each in _all(session) if past or each.standing is not Standing.ENDED]
    if as_json:
        print_json({"silences": [each.model_dump(mode="json") for each in found]})
        return
    name = Column("silence", no_wrap=True)  # it is to be copied
    table = Table(name, "stands", "matches", "when", "by", "why", box=None, header_style="dim")
    for each in found:
        cells = (each.id, each.standing, ", ".join(each.match), _when(each), each.by, each.reason)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


@app.command()
def show(silence: SilenceArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show one silence."""
    session = Session.open(catalog)
    found = _one(_all(session), silence)
    if as_json:
        print_json(found)
        return
    rows = (
        ("silence", found.id),
        ("stands", f"{found.standing}{f', ended by {found.expired_by}' if found.expired_by else ''}"),
        ("matches", ", ".join(found.match)),
        ("when", _when(found)),
        ("by", found.by),
        ("why", found.reason or "nobody said"),
        ("kept", found.kept),
    )
    for word, text in rows:
        Console().print(Text.assemble((f"{word:<10}", "dim"), text), soft_wrap=True)


@app.command()
def expire(
    silences: Annotated[list[str], typer.Argument(metavar="SILENCE", help="ids, or beginnings of them")],
    by: Annotated[str | None, typer.Option("--by", metavar="WHO", help="who asks for it; you without")] = None,
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """End silences now. What fires still opens its incident as soon as its sender says so again."""
    session = Session.open(catalog)
    known = _all(session)
    chosen = [_one(known, each) for each in silences]
    for each in chosen:
        if each.by == "the catalog" and each.kept != "by hand":
            raise CommandError(
                f"{each.id} stands in the catalog, under incidents.silences; end it there.", Exit.REFUSED
            )
    ended = asyncio.run(_expire_all(session, chosen, by or who(), note))
    now = datetime.now(UTC)
    if as_json:
        print_json({"silences": [shown(each, now).model_dump(mode="json") for each in ended]})
        return
    for silence in ended:
        typer.echo(f"{silence.id}: ended.")


async def _expire_all(session: Session, chosen: list[SilenceShown], by: str, note: str) -> list[KeptSilence]:
    environment = session.catalog().environment
    return [
        await _give(
            session,
            ExpireSilence(id=each.id, by=by, note=note, from_where=from_where()),
            ServiceRef(environment=environment, service="silences"),
        )
        for each in chosen
    ]


async def _give(session: Session, order: AddSilence | ExpireSilence, about: ServiceRef) -> KeptSilence:
    client = await session.client()
    try:
        return await order_silences(client, about.environment, order, PATIENCE)
    except SilenceRefusedError as error:
        verb = Verb.SILENCE if isinstance(order, AddSilence) else Verb.EXPIRE
        await record_refusal(client, verb, about, why=str(error))
        raise CommandError(f"It is refused: {error}.", Exit.REFUSED) from error
    except SilencesUnansweredError as error:
        raise CommandError(
            "Nobody answered, so it may not have been taken. Start workers with `holdfast up` or `holdfast worker "
            "incidents`, and look with `holdfast silence list`.",
            Exit.UNREACHABLE,
        ) from error


def _all(session: Session) -> list[SilenceShown]:
    """The catalog's first, then those that people asked for, each in its order."""
    catalog, now = session.catalog(), datetime.now(UTC)
    kept = asyncio.run(_kept(session, catalog))
    return [
        *(shown_of_catalog(spec, now) for spec in catalog.incidents.silences),
        *(shown(each, now) for each in kept),
    ]


async def _kept(session: Session, catalog: Catalog) -> tuple[KeptSilence, ...]:
    client: Client = await session.client()
    try:
        return await read_silences(client, catalog.environment, PATIENCE)
    except RPCError as error:
        raise CommandError(
            f"Temporal could not tell the silences: {error.message}. `holdfast doctor` looks further.",
            Exit.UNREACHABLE,
        ) from error
    except ValueError as error:
        raise CommandError(
            f"These silences are of a newer holdfast, and not understood: {error}", Exit.NEGATIVE
        ) from error


def _one(known: list[SilenceShown], asked: str) -> SilenceShown:
    exact = [each for each in known if each.id == asked]
    fitting = exact or [each for each in known if each.id.startswith(asked)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise CommandError(f"There is no silence {asked}; `holdfast silence list` lists them.", Exit.REFUSED)
    names = ", ".join(each.id for each in fitting[:5])
    raise CommandError(f"{asked!r} may be any of {len(fitting)} silences: {names}. Write more of it.", Exit.BAD_INPUT)


def _matchers(given: list[str]) -> list[str]:
    try:
        return [parse_matcher(each) for text in given for each in split_matchers(text)]
    except MistakeError as error:
        raise CommandError(f"{error}.", Exit.BAD_INPUT) from error


def _duration(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except MistakeError as error:
        raise CommandError(f"--for: {error}.", Exit.BAD_INPUT) from error


def _moment(option: str, text: str | None) -> str | None:
    """A time on this machine's clock as an instant."""
    try:
        return None if text is None else datetime.fromisoformat(parse_moment(text)).astimezone(UTC).isoformat(sep=" ")
    except (MistakeError, OverflowError) as error:
        raise CommandError(f"{option}: {error}.", Exit.BAD_INPUT) from error


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"This cannot be silenced so: {f'{place}: ' if place else ''}{said}."


def _when(silence: SilenceShown) -> str:
    if silence.every is not None and silence.standing is not Standing.ENDED:
        return f"every {silence.every} ({silence.zone})"
    ends = local_clock(silence.ends) if silence.ends else "somebody ends it"
    if silence.standing is Standing.PENDING and silence.begins:
        return f"from {local_clock(silence.begins)} until {ends}"
    return f"until {ends}"
