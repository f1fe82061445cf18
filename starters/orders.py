"""`holdfast promote|abort|pause|resume|approve`: what people tell a rollout."""

import asyncio
from datetime import timedelta
from pathlib import Path

import typer
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import UpdateMethodMultiParam

from models.audit import Verb
from models.rollout import Acknowledgement, Instruction
from starters.exits import CommandError, Exit
from starters.handles import rollout_of
from starters.options import CatalogOption, JsonOption, NoteOption, ServiceArgument
from starters.output import print_json
from starters.refusals import record_refusal
from starters.session import Session, from_where, who
from workflows.rollout import Rollout

PATIENCE = timedelta(seconds=10)
Order = UpdateMethodMultiParam[[Rollout, Instruction], Acknowledgement]


def promote(
    service: ServiceArgument, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Give the new version all traffic now, without the steps that remain."""
    _order(Rollout.promote, Verb.PROMOTE, service, note, catalog, as_json=as_json)


def abort(
    service: ServiceArgument, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Take the new version back now: all traffic returns to the stable one."""
    _order(Rollout.abort, Verb.ABORT, service, note, catalog, as_json=as_json)


def pause(
    service: ServiceArgument, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Hold the traffic where it is; the new version is still watched, and taken back if it is unhealthy."""
    _order(Rollout.pause, Verb.PAUSE, service, note, catalog, as_json=as_json)


def resume(
    service: ServiceArgument, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Go on after a pause."""
    _order(Rollout.resume, Verb.RESUME, service, note, catalog, as_json=as_json)


def approve(
    service: ServiceArgument, note: NoteOption = "", catalog: CatalogOption = None, as_json: JsonOption = False
) -> None:
    """Say yes to what the rollout waits for."""
    _order(Rollout.approve, Verb.APPROVE, service, note, catalog, as_json=as_json)


def _order(order: Order, verb: Verb, service: str, note: str, catalog: Path | None, *, as_json: bool) -> None:
    instruction = Instruction(by=who(), note=note, from_where=from_where())
    answer = asyncio.run(_give(order, verb, Session.open(catalog), service, instruction))
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{service}: {answer.text}")


async def _give(order: Order, verb: Verb, session: Session, service: str, instruction: Instruction) -> Acknowledgement:
    ref, _ = session.service(service)
    client = await session.client()
    handle = rollout_of(client, ref)
    try:
        return await handle.execute_update(order, instruction, rpc_timeout=PATIENCE)
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        said = cause.message if isinstance(cause, ApplicationError) else str(cause)
        await record_refusal(client, verb, ref, why=said, note=instruction.note)
        raise CommandError(f"{service}: {said}. See `holdfast status {service}`.", Exit.REFUSED) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise CommandError(_nobody_answered(service), Exit.UNREACHABLE) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            await record_refusal(client, verb, ref, why="no rollout is under way", note=instruction.note)
            raise CommandError(
                f"No rollout of {service} is under way; `holdfast deploy {service} VERSION` starts one.", Exit.REFUSED
            ) from error
        raise CommandError(_nobody_answered(service), Exit.UNREACHABLE) from error


def _nobody_answered(service: str) -> str:
    return (
        f"No worker answered within {PATIENCE.seconds} s, so the order may not have been taken. Start workers with "
        f"`holdfast up` or `holdfast worker all`, look with `holdfast status {service}`, and give it again if need be."
    )
