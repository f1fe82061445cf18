"""`holdfast rules apply`, `list`, `show` and `remove`: what is evaluated."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from analysis.rule_view import alert_line, condition, found_text, state_of
from models.alert_rules import AlertState, RuleSet, RulesState, RuleStanding
from models.ids import Name, ServiceRef, rules_id
from runtime.catalog_file import CatalogError
from starters.exits import CommandError, Exit
from starters.local_time import local_clock
from starters.options import CatalogOption, JsonOption
from starters.output import print_json
from starters.rule_applying import PATIENCE, Applied, apply_rules, evaluated, remove_rules
from starters.rule_sets import sets_of
from starters.session import Session, who
from workflows.alert_rules import AlertRules

app = typer.Typer()

SetArgument = Annotated[str, typer.Argument(metavar="NAME", help="a service, or a set of rule files under alerts")]


@app.command()
def apply(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Evaluate the catalog's rules from now on, and those no more that it does not have.

    What fires by a rule that is gone is cleared. Taken as soon as Temporal has it, whether a worker runs or not.
    """
    session = Session.open(catalog)
    environment, sets = session.catalog().environment, _sets(session)

    async def give() -> Applied:
        return await apply_rules(await session.client(), environment, sets, by=who())

    applied = asyncio.run(give())
    if as_json:
        print_json({"rules": dict(applied.evaluated), "removed": list(applied.removed)})
        return
    for name, count in applied.evaluated.items():
        typer.echo(f"{name}: {count} {'rule is' if count == 1 else 'rules are'} evaluated")
    for name in applied.removed:
        typer.echo(f"{name}: not evaluated any more; what fires is cleared")
    if not applied.evaluated and not applied.removed:
        typer.echo(f"{session.settings.catalog} has no alert rules, and none are evaluated.")


@app.command(name="list")
def list_sets(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List what is evaluated in the catalog's environment."""
    session = Session.open(catalog)
    environment = session.catalog().environment

    async def look() -> list[RulesState]:
        client = await session.client()
        return [await _state(client, ref) async for ref in evaluated(client, environment)]

    found = sorted(asyncio.run(look()), key=lambda state: state.rules.ref.service)
    if as_json:
        print_json({"sets": [_summary(state) for state in found]})
        return
    if not found:
        typer.echo(f"No alert rules are evaluated in {environment}; `holdfast rules apply` begins with the catalog's.")
        return
    table = Table("name", "rules", "firing", "not evaluated", box=None, header_style="dim")
    for state in found:
        cells = (len(state.rules.rules), _firing(state.standing), len(state.standing.troubles))
        table.add_row(state.rules.ref.service, *map(str, cells))
    Console().print(table)


@app.command()
def show(name: SetArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show the rules of a service, or of a set of files: what each found last, what is pending and what fires."""
    session = Session.open(catalog)
    ref = ServiceRef(environment=session.catalog().environment, service=name)

    async def look() -> RulesState:
        return await _state(await session.client(), ref)

    state = asyncio.run(look())
    if as_json:
        print_json(state.model_copy(update={"standing": state.standing.model_copy(update={"last": None})}))
        return
    console = Console()
    table = Table("rule", "stands", "found", "fires when", box=None, header_style="dim")
    for rule in state.rules.rules:
        cells = (rule.id, state_of(rule, state.standing), found_text(rule, state.standing), condition(rule))
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for alert in state.standing.alerts.values():
        console.print(alert_line(alert), markup=False, highlight=False, soft_wrap=True)
    for why in dict.fromkeys(state.suppressed.values()):
        console.print(f"opens nothing: {why}", markup=False, highlight=False, soft_wrap=True)
    for rule_id, trouble in state.standing.troubles.items():
        since = local_clock(trouble.since)
        console.print(f"{rule_id} is not evaluated since {since}: {trouble.text}", markup=False, soft_wrap=True)


@app.command()
def remove(name: SetArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Evaluate the rules of a service, or of a set of files, no more, until they are applied anew."""
    session = Session.open(catalog)
    ref = ServiceRef(environment=session.catalog().environment, service=name)

    async def give() -> bool:
        return await remove_rules(await session.client(), ref, by=who())

    if not asyncio.run(give()):
        raise CommandError(_not_evaluated(ref), Exit.REFUSED)
    if as_json:
        print_json({"removed": [name]})
    else:
        typer.echo(f"{name}: not evaluated any more; what fires is cleared")


async def _state(client: Client, ref: ServiceRef) -> RulesState:
    """With what the watch under way has found since. Raises CommandError."""
    handle: WorkflowHandle[AlertRules, None] = client.get_workflow_handle(rules_id(ref))
    try:
        description = await handle.describe(rpc_timeout=PATIENCE)
        if description.status is not WorkflowExecutionStatus.RUNNING:
            raise CommandError(_not_evaluated(ref), Exit.REFUSED)  # removed; what it knew can still be asked
        state = await handle.query(AlertRules.state, rpc_timeout=PATIENCE)
    except WorkflowQueryFailedError as error:
        raise CommandError(_nobody_answers(ref), Exit.UNREACHABLE) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise CommandError(_not_evaluated(ref), Exit.REFUSED) from error
        raise CommandError(_nobody_answers(ref), Exit.UNREACHABLE) from error
    newest = await _progress(description)
    return state if newest is None else state.model_copy(update={"standing": newest})


async def _progress(description: WorkflowExecutionDescription) -> RuleStanding | None:
    for pending in description.raw_description.pending_activities:
        if pending.activity_type.name == "rules.watch" and pending.heartbeat_details.payloads:
            decoded: Sequence[object] = await description.data_converter.decode(
                pending.heartbeat_details.payloads, [RuleStanding]
            )
            return decoded[0] if isinstance(decoded[0], RuleStanding) else None
    return None


def _summary(state: RulesState) -> dict[str, object]:
    return {
        "name": state.rules.ref.service,
        "rules": len(state.rules.rules),
        "firing": _firing(state.standing),
        "not_evaluated": sorted(state.standing.troubles),
    }


def _firing(standing: RuleStanding) -> int:
    return sum(alert.state is AlertState.FIRING for alert in standing.alerts.values())


def _sets(session: Session) -> dict[Name, RuleSet]:
    try:
        return sets_of(session.settings.catalog)
    except CatalogError as error:
        raise CommandError(str(error), Exit.BAD_INPUT) from error


def _not_evaluated(ref: ServiceRef) -> str:
    where = f"No alert rules of {ref.service} are evaluated in {ref.environment}"
    return f"{where}; `holdfast rules list` names those that are."


def _nobody_answers(ref: ServiceRef) -> str:
    return (
        f"The rules of {ref.service} did not answer. Start workers with `holdfast up` or `holdfast worker incidents`; "
        "what fires is not lost."
    )
