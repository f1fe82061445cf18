"""`holdfast history` and `holdfast rollback`: what was rolled out, and back to what was before."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.rollout_history import leads_back_to, once_promoted
from analysis.rollout_result import stable_now
from analysis.rollout_view import PHASE_WORDS
from models.ids import ServiceRef
from models.quantities import format_duration
from models.rollout import PastRollout
from starters.deploy import request_for, roll_out
from starters.exits import CommandError, Exit
from starters.launching import IfBusy
from starters.local_time import local_clock
from starters.observing import observe
from starters.options import CatalogOption, IfBusyOption, JsonOption, NoteOption, ServiceArgument, WaitOption
from starters.output import print_json
from starters.past import past_rollouts
from starters.session import Session, parse_version

_LIMIT = 100
_NAMED = 5


def history(
    service: ServiceArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=_LIMIT, help="how many, the newest first")] = 20,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rollouts of a service, the newest first."""
    session = Session.open(catalog)
    ref, _ = session.service(service)
    past = asyncio.run(past_rollouts(session, ref, limit))
    if as_json:
        print_json({"rollouts": [rollout.model_dump(mode="json") for rollout in past]})
        return
    table = Table("began", "took", "version", "strategy", "ended as", box=None, header_style="dim")
    for rollout in past:
        table.add_row(
            local_clock(rollout.started_at),
            _took(rollout),
            Text(rollout.version),
            rollout.strategy,
            "ended by force, " * rollout.cut_off + PHASE_WORDS[rollout.phase],
        )
    Console().print(table)


def rollback(
    service: ServiceArgument,
    to: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="else the one that served before")] = None,
    wait: WaitOption = False,
    if_busy: IfBusyOption = IfBusy.REFUSE,
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier version: it gets all traffic as soon as its instances are ready, without steps."""
    session = Session.open(catalog)
    ref, _ = session.service(service)

    async def go_back() -> None:
        version = parse_version(to) if to else await _version_before(session, ref)
        request = request_for(session, service, version, note=note or "rollback", at_once=True)
        await roll_out(session, request, if_busy=if_busy, wait=wait, as_json=as_json)

    asyncio.run(go_back())


async def _version_before(session: Session, ref: ServiceRef) -> str:
    newest = (await observe(await session.rollout(ref))).state
    if newest and newest.at_once and not newest.phase.settled:
        raise CommandError(
            f"{ref.service} is on its way back to {newest.version} already. To another version: "
            f"`holdfast rollback {ref.service} --to VERSION`.",
            Exit.REFUSED,
        )
    past = await past_rollouts(session, ref, _LIMIT) if newest else []
    version = leads_back_to(newest, past) if newest else None
    if version is None:
        others = once_promoted(past, stable_now(newest) if newest else None)[:_NAMED]
        left = f" Promoted once, and gone back from since: {', '.join(others)}." if others else ""
        raise CommandError(
            f"No earlier version of {ref.service} is known to have served well; name one: "
            f"`holdfast rollback {ref.service} --to VERSION`.{left}",
            Exit.REFUSED,
        )
    return version


def _took(rollout: PastRollout) -> str:
    if rollout.ended_at is None:
        return "unknown" if rollout.cut_off else "under way"
    seconds = round((rollout.ended_at - rollout.started_at).total_seconds())
    return format_duration(timedelta(seconds=seconds))
