"""`holdfast worker`: take work from queues until told to stop."""

import asyncio
from typing import Annotated

import typer

from records.errors import RecordsError
from runtime.client import TemporalUnreachableError
from runtime.envoy_admin import EnvoyUnknownError
from runtime.logs import configure_logging
from starters.exits import CommandError, Exit
from starters.session import Session
from workers.groups import GROUPS, UnknownGroupError, groups_named
from workers.run import WorkerFailedError, run_workers


def worker(
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="GROUP", help=f"which work to take: {', '.join(group.queue for group in GROUPS)}, or all"
        ),
    ],
) -> None:
    """Take work until SIGTERM or Ctrl-C; what runs is finished first, a second signal ends at once.

    Beside a local stack, that stack's Temporal and Envoy are used unless settings name others.
    """
    session = Session.open()
    settings, stack = session.settings, session.stack
    if stack and settings.envoy_admin is None:
        settings = settings.model_copy(update={"envoy_admin": stack.envoy_admin})
    try:
        chosen = groups_named(groups)
        configure_logging(settings)
        asyncio.run(run_workers(chosen, settings, address=stack.temporal if stack else None))
    except UnknownGroupError as error:
        raise CommandError(str(error), Exit.BAD_INPUT) from error
    except RecordsError as error:
        raise CommandError(str(error), Exit.BAD_INPUT) from error
    except (TemporalUnreachableError, EnvoyUnknownError) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from error
    except (WorkerFailedError, OSError) as error:
        raise CommandError(str(error), Exit.NEGATIVE) from error
