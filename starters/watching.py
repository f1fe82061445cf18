"""Watching a rollout until it is settled, and saying how it went."""

import asyncio

import typer
from rich.console import Console
from temporalio.client import WorkflowContinuedAsNewError, WorkflowFailureError

from analysis.rollout_result import result_of
from models.rollout import Phase, RolloutResult
from starters.exits import CommandError, Exit
from starters.handles import RolloutHandle
from starters.live import follow
from starters.output import print_json


def exit_code_of(outcome: Phase) -> Exit:
    return Exit.OK if outcome in {Phase.PROMOTED, Phase.UNCHANGED} else Exit.NEGATIVE


async def watch_to_its_end(handle: RolloutHandle, *, as_json: bool) -> RolloutResult:
    """Show one run of a rollout until it is settled; `as_json` sends the picture to stderr, the result to stdout."""
    console = Console(stderr=as_json)
    try:
        seen = await follow(handle, console)
        settled = seen.state is not None and seen.state.phase.settled
        result = result_of(seen.state) if seen.state and settled else await handle.result(follow_runs=False)
    except WorkflowContinuedAsNewError as error:
        raise CommandError(
            "The rollout has ended and made way for the next one before its end could be seen. "
            "`holdfast history` tells how it ended.",
            Exit.NEGATIVE,
        ) from error
    except WorkflowFailureError as error:
        raise CommandError(
            f"The rollout was ended from outside: {error.cause}. `holdfast status` shows what it did last.",
            Exit.NEGATIVE,
        ) from error
    except asyncio.CancelledError:
        typer.echo("\nNo longer watching; the rollout goes on by itself.", err=True)
        raise
    if as_json:
        print_json(result)
    return result
