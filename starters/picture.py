"""`holdfast picture`: one rollout as a figure."""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from temporalio.service import RPCError

from models.ids import ServiceRef
from models.record import RolloutRecord
from starters.exits import CommandError, Exit
from starters.options import CatalogOption, JsonOption, ServiceArgument
from starters.output import print_json
from starters.picture_source import Source, chosen, source_of
from starters.session import Session

FOLDER = "pictures"
"""In the home folder."""

PATIENCE = timedelta(seconds=10)
"""At the end of a command that did something else, whose picture is an extra."""

_SHORT_RUN_ID = 8


class Format(StrEnum):
    SVG = "svg"
    PNG = "png"
    BOTH = "both"


def picture(
    service: ServiceArgument,
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", metavar="ID", help="one rollout, by the beginning of its run id; else the newest"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="else the folder pictures in HOLDFAST_HOME")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="svg, png or both")] = Format.BOTH,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a rollout: traffic, error rates, response times and evidence over time."""
    session = Session.open(catalog)
    ref, _ = session.service(service)
    folder = out or session.settings.home / FOLDER

    async def found() -> Source:
        return await source_of(session, ref, (await chosen(session, ref, run_id)).run_id)

    source = asyncio.run(found())
    if source.trouble:
        typer.echo(source.trouble, err=True)
    paths = _drawn(source, folder, [Format.SVG, Format.PNG] if form is Format.BOTH else [form])
    if as_json:
        record = source.record
        names = {"run_id": record.run_id, "version": record.version, "phase": record.phase}
        print_json({**names, "samples": len(source.samples), "pictures": [str(path) for path in paths]})
        return
    for path in paths:
        typer.echo(path)
    if not source.samples:
        typer.echo(
            "No samples of its metrics were kept: it was never watched, or a worker's files were lost.", err=True
        )


async def draw_and_name(session: Session, ref: ServiceRef, run_id: str) -> list[Path]:
    """Draw the rollout in the usual folder; return the pictures. Says on stderr why there are none; never raises
    for it.
    """
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            source = await source_of(session, ref, run_id)
            return await asyncio.to_thread(_drawn, source, session.settings.home / FOLDER, [Format.SVG, Format.PNG])
    except TimeoutError:
        why = "what it is drawn from did not come in time."
    except (CommandError, RPCError, OSError) as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a library may not draw, the rollout went as it went
        why = f"{type(error).__name__}: {error}."
    typer.echo(f"No picture was drawn: {why} `holdfast picture {ref.service}` tries again.", err=True)
    return []


def _drawn(source: Source, folder: Path, forms: Sequence[Format]) -> list[Path]:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would tell people about its caches
    from pictures.figure import Form, draw  # half a second, which every other verb would wait for too

    wanted: list[Form] = [Form(form) for form in forms]
    drawn = draw(source.record, source.samples, wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_written(folder / f"{name_of(source.record)}.{form}", drawn[form]) for form in wanted]
    except OSError as error:
        raise CommandError(
            f"{error.filename or folder} cannot be written: {error.strerror}.", Exit.BAD_INPUT
        ) from error


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def name_of(record: RolloutRecord) -> str:
    """`shop-v2-1f0c9a3e`: of the service, the version and the beginning of the run id."""
    return f"{record.ref.service}-{record.version}-{re.sub(r'[^A-Za-z0-9-]', '-', record.run_id)[:_SHORT_RUN_ID]}"
