"""`holdfast guard`: may a service be touched now, and orders that it may not."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.guards import guard_start
from analysis.guard_view import DECISIONS_SHOWN, answer_lines
from analysis.guarding import clock
from models.calendar_words import A_MOMENT, parse_moment
from models.catalog import Catalog
from models.freezes import FreezeWindow
from models.guard import Freeze, GuardRules, GuardState, Unfreeze
from models.ids import ServiceRef
from models.mistakes import MistakeError
from models.quantities import parse_duration
from models.rollout import Acknowledgement
from models.temporal_names import GuardUpdate
from starters.exits import CommandError, Exit
from starters.handles import guard_of
from starters.local_time import local_clock
from starters.options import CatalogOption, JsonOption, NoteOption, ServiceArgument
from starters.orders import PATIENCE
from starters.output import print_json
from starters.session import Session, from_where, who
from workflows.service_guard import ServiceGuard

app = typer.Typer(help="See whether a service may be touched now, and freeze it.", no_args_is_help=True)

Order = Freeze | Unfreeze
SomeServices = Annotated[str | None, typer.Argument(metavar="SERVICE", help="a service of the catalog; all without")]


@app.command()
def show(service: ServiceArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show who holds a service, what is frozen or cools down, and what was decided last."""
    session = Session.open(catalog)
    ref, _ = session.service(service)
    rules = session.catalog().guard_rules(service)
    state = asyncio.run(_state(session, ref))
    now = datetime.now(UTC)
    if as_json:
        print_json({**state.model_dump(mode="json"), "catalog_freezes": _dumped(_in_force(rules, now))})
        return
    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False)
    for word, sentence in answer_lines(state, rules, _in_force(rules, now), now):
        table.add_row(Text(word, style="dim"), Text(sentence))
    console.print(table)
    for decision in state.decisions[-DECISIONS_SHOWN:]:
        console.print(f"  {local_clock(decision.at)} {decision.text}", markup=False, highlight=False)


@app.command()
def freeze(
    service: SomeServices = None,
    lasting: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="how long, like 2h or 90m")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="until when, like '2026-12-27 08:00'; else local time")
    ] = None,
    note: NoteOption = "",
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse rollouts forward, chaos and scaling from now on; a way back stays open, and what runs goes on.

    Without --for or --until it lasts until `holdfast guard unfreeze`. It takes the place of a freeze by hand before it.
    """
    order = Freeze(by=who(), note=note, from_where=from_where(), until=_end(lasting, until, datetime.now(UTC)))
    _order(GuardUpdate.FREEZE, order, Session.open(catalog), service, as_json=as_json)


@app.command()
def unfreeze(
    service: SomeServices = None, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """End a freeze by hand. A freeze of the catalog ends by itself, or by an edit there."""
    _order(
        GuardUpdate.UNFREEZE,
        Unfreeze(by=who(), note=note, from_where=from_where()),
        Session.open(catalog),
        service,
        as_json=as_json,
    )


def _end(lasting: str | None, until: str | None, now: datetime) -> datetime | None:
    if lasting is not None and until is not None:
        raise CommandError("Give either --for or --until, not both.", Exit.BAD_INPUT)
    try:
        if lasting is not None:
            end = now + parse_duration(lasting)
        elif until is not None:
            end = datetime.fromisoformat(parse_moment(until)).astimezone(UTC)
        else:
            return None
    except (MistakeError, OverflowError) as error:
        raise CommandError(f"{'--for' if lasting is not None else '--until'}: {error}.", Exit.BAD_INPUT) from error
    if end <= now:
        raise CommandError(f"A freeze must end in the future; write {A_MOMENT} that is to come.", Exit.BAD_INPUT)
    return end


def _order(update: GuardUpdate, order: Order, session: Session, service: str | None, *, as_json: bool) -> None:
    catalog = session.catalog()
    if service is not None:
        session.check_service(catalog, service)
    answers = asyncio.run(_give(update, order, session, [service] if service else sorted(catalog.services), catalog))
    if as_json:
        print_json({"services": {name: answer.text for name, answer in answers.items()}})
        return
    now = datetime.now(UTC)
    for name, answer in answers.items():
        typer.echo(f"{name}: {answer.text}")
        if update is GuardUpdate.UNFREEZE:
            for window in _in_force(catalog.guard_rules(name), now):
                typer.echo(f"{name}: the catalog's {window.name} is still in force until {clock(window.ends)}")


async def _give(
    update: GuardUpdate, order: Order, session: Session, services: list[str], catalog: Catalog
) -> Mapping[str, Acknowledgement]:
    """Give the order to each, and say which did not take it."""
    client = await session.client()
    refs = [ServiceRef(environment=catalog.environment, service=service) for service in services]
    answers = await asyncio.gather(*(_send(client, update, order, ref) for ref in refs), return_exceptions=True)
    taken = {
        ref.service: answer for ref, answer in zip(refs, answers, strict=True) if isinstance(answer, Acknowledgement)
    }
    for answer in answers:
        if isinstance(answer, CommandError) and taken:
            raise CommandError(f"{answer} The order was taken by {', '.join(taken)}.", answer.code) from answer
        if isinstance(answer, BaseException):
            raise answer
    return taken


async def _send(client: Client, update: GuardUpdate, order: Order, ref: ServiceRef) -> Acknowledgement:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            answer = await client.execute_update_with_start_workflow(
                update, order, start_workflow_operation=guard_start(ref), result_type=Acknowledgement
            )
    except WorkflowUpdateFailedError as error:
        said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise CommandError(f"{ref.service}: {said}.", Exit.REFUSED) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise CommandError(_nobody_answered(ref), Exit.UNREACHABLE) from error
    return Acknowledgement.model_validate(answer)


async def _state(session: Session, ref: ServiceRef) -> GuardState:
    handle = guard_of(await session.client(), ref)
    try:
        return await handle.query(ServiceGuard.state, rpc_timeout=PATIENCE)
    except WorkflowQueryFailedError as error:
        raise CommandError(_nobody_answered(ref), Exit.UNREACHABLE) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return GuardState(ref=ref)  # nobody ever asked it, so there is nothing that it knows
        raise CommandError(_nobody_answered(ref), Exit.UNREACHABLE) from error


def _nobody_answered(ref: ServiceRef) -> str:
    return (
        f"The guard of {ref.service} did not answer. Start workers with `holdfast up` or `holdfast worker guards`, "
        f"then look with `holdfast guard show {ref.service}`: an order may have been taken."
    )


def _in_force(rules: GuardRules, now: datetime) -> tuple[FreezeWindow, ...]:
    windows = (window for freeze in rules.freezes for window in freeze.windows(now, now + timedelta(seconds=1)))
    return tuple(window for window in windows if window.holds(now))


def _dumped(windows: tuple[FreezeWindow, ...]) -> list[object]:
    return [window.model_dump(mode="json") for window in windows]
