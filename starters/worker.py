"""`holdfast worker`: take work from queues until told to stop."""

import asyncio
from typing import Annotated

import typer

from runtime.client import TemporalUnreachableError
from runtime.logs import configure_logging
from runtime.settings import Settings
from workers.groups import GROUPS, UnknownGroupError, groups_named
from workers.run import WorkerFailedError, run_workers
from workers.wiring import EnvoyUnknownError

USAGE_ERROR = 2


def worker(
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="GROUP...", help=f"which work to take: {', '.join(group.queue for group in GROUPS)}, or all"
        ),
    ],
) -> None:
    """Run workers until SIGTERM or Ctrl-C; what runs is finished first, a second signal ends at once."""
    try:
        chosen = groups_named(groups)
    except UnknownGroupError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(USAGE_ERROR) from error
    settings = Settings()
    configure_logging(settings)
    try:
        asyncio.run(run_workers(chosen, settings))
    except (WorkerFailedError, TemporalUnreachableError, EnvoyUnknownError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
