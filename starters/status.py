"""`holdfast status`: how rollouts stand."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.rollout_view import PHASE_WORDS, weights_line
from models.ids import ServiceRef
from starters.exits import CommandError, Exit
from starters.live import picture
from starters.local_time import local_clock
from starters.observing import Observation, observe
from starters.options import CatalogOption, JsonOption
from starters.output import print_json
from starters.session import Session
from starters.watching import exit_code_of, watch_to_its_end


def status(
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="one service; all without")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="watch until the rollout has ended")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rollout of a service, under way or the last one; or a line for every service."""
    session = Session.open(catalog)
    if service is None:
        if watch:
            raise CommandError("--watch needs a service: `holdfast status SERVICE --watch`.", Exit.BAD_INPUT)
        asyncio.run(_all(session, as_json=as_json))
    else:
        asyncio.run(_one(session, service, watch=watch, as_json=as_json))


async def _one(session: Session, service: str, *, watch: bool, as_json: bool) -> None:
    ref, _ = session.service(service)
    handle = await session.rollout(ref)
    seen = await observe(handle)
    if not seen.exists:
        raise CommandError(
            f"{service} was never rolled out; `holdfast deploy {service} VERSION` does it.", Exit.REFUSED
        )
    if watch and seen.open:
        result = await watch_to_its_end(await session.rollout(ref, seen.run_id), as_json=as_json)
        raise typer.Exit(exit_code_of(result.outcome))
    if as_json:
        print_json(_as_json(ref, seen))
        return
    console = Console()
    console.print(picture(seen))
    if seen.state:
        for entry in seen.state.timeline:
            console.print(f"  {local_clock(entry.at)} {entry.text}", markup=False, highlight=False)


async def _all(session: Session, *, as_json: bool) -> None:
    catalog = session.catalog()
    client_refs = [ServiceRef(environment=catalog.environment, service=name) for name in catalog.services]
    await session.client()
    seen = [await observe(await session.rollout(ref)) for ref in client_refs]
    if as_json:
        print_json({"services": [_as_json(ref, one) for ref, one in zip(client_refs, seen, strict=True)]})
        return
    table = Table("service", "version", "phase", "traffic", "reason", box=None, header_style="dim")
    for ref, one in zip(client_refs, seen, strict=True):
        state = one.state
        cells = (
            (ref.service, state.version, PHASE_WORDS[state.phase], weights_line(state), state.reason)
            if state
            else (ref.service, "–", one.trouble or "never rolled out", "–", "")
        )
        table.add_row(*(Text(cell) for cell in cells))  # a reason holds what people wrote, brackets and all
    Console().print(table)


def _as_json(ref: ServiceRef, seen: Observation) -> dict[str, object]:
    return {
        "service": ref.service,
        "environment": ref.environment,
        "exists": seen.exists,
        "open": seen.open,
        "workflow_status": seen.status,
        "trouble": seen.trouble,
        "state": seen.state.model_dump(mode="json") if seen.state else None,
        "progress": seen.progress.model_dump(mode="json", exclude={"last", "total"}) if seen.progress else None,
    }
