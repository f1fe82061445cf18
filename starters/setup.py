"""`holdfast setup`: make a Temporal server that exists ready for rollouts."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, TypeVar

import typer
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from devstack.errors import StackError
from devstack.namespace import register_missing_attributes, register_namespace
from models.mistakes import MistakeError
from models.quantities import format_duration, parse_duration
from models.temporal_names import SearchAttribute
from runtime.client import TemporalUnreachableError, connect
from runtime.settings import Settings, load_settings
from starters.exits import CommandError, Exit

T = TypeVar("T")

_PAUSE = 0.2
_NOT_YET = {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNAVAILABLE}
"""What a server answers in the seconds before all of its parts know of a new namespace or attribute."""


def setup(
    retention: Annotated[
        str, typer.Option("--retention", metavar="DURATION", help="how long Temporal keeps what has ended")
    ] = "30d",
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="how long to wait for Temporal to be there")
    ] = "1m",
) -> None:
    """Make the namespace and its search attributes on Temporal's server; what is there already stays.

    For a server of one's own. `holdfast up` needs no set-up. Running it again changes the retention only.
    """
    settings = load_settings()
    kept, patience = _duration("--retention", retention), _duration("--wait", wait)
    typer.echo(asyncio.run(_within(settings, kept, patience)))


async def _within(settings: Settings, retention: timedelta, patience: timedelta) -> str:
    """Raises CommandError; when time is up, with what stood in the way last."""
    attempt = _Attempt(settings, retention)
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await attempt.succeed()
    except TimeoutError:
        raise CommandError(
            f"Not set up within {format_duration(patience)}: {attempt.reason}", Exit.UNREACHABLE
        ) from None


class _Attempt:
    def __init__(self, settings: Settings, retention: timedelta) -> None:
        self._settings = settings
        self._retention = retention
        self.reason: Exception | str = "Temporal did not answer in time."

    async def succeed(self) -> str:
        """Return what was done."""
        client = await self._until_it_works(partial(connect, self._settings, namespace_exists=False))
        before = await self._until_it_works(partial(register_namespace, client, self._retention))
        await self._until_it_works(partial(_register_attributes, client))
        await self._until_it_works(partial(_prove, client))
        return _report(client, before, self._retention)

    async def _until_it_works(self, step: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await step()
            except TemporalUnreachableError as error:
                self.reason = error
            except RPCError as error:
                if error.status not in _NOT_YET:
                    raise CommandError(_refused(self._settings, error), Exit.REFUSED) from error
                self.reason = error
            except StackError as error:
                raise CommandError(str(error), Exit.REFUSED) from error
            await asyncio.sleep(_PAUSE)


def _report(client: Client, before: timedelta | None, retention: timedelta) -> str:
    match before:
        case None:
            did = f"made; what has ended is kept for {_days(retention)}"
        case same if same == retention:
            did = f"there already; what has ended is kept for {_days(retention)}"
        case _:
            did = f"there already; what has ended is kept for {_days(retention)} now, {_days(before)} before"
    target = client.service_client.config.target_host
    return f"Namespace {client.namespace} at {target} is {did}. All {len(SearchAttribute)} search attributes are known."


def _days(length: timedelta) -> str:
    return f"{length.days}d" if length == timedelta(days=length.days) else format_duration(length)


async def _register_attributes(client: Client) -> None:
    """Raises RPCError while the server does not know them all, and StackError."""
    missing = await register_missing_attributes(client)
    if missing:
        raise RPCError(f"it does not know {', '.join(missing)} yet", RPCStatusCode.UNAVAILABLE, b"")


async def _prove(client: Client) -> None:
    """Ask with every attribute, as only a server that knows them all answers. Raises RPCError."""
    await client.count_workflows(" AND ".join(f"{name} IS NULL" for name in SearchAttribute))


def _refused(settings: Settings, error: RPCError) -> str:
    return (
        f"Temporal does not let us set up namespace {settings.temporal_namespace!r}: {error.message}. Have it made "
        f"there by who may, with the keywords {', '.join(SearchAttribute)} as search attributes."
    )


def _duration(option: str, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except MistakeError as error:
        raise CommandError(f"{option}: {error}", Exit.BAD_INPUT) from error
