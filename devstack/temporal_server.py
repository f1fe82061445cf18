"""Temporal's dev server on a file, and what makes any server ready for our workflows."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from devstack.child import ChildSpec
from devstack.errors import NotServingError
from devstack.namespace import register_missing_attributes
from devstack.obtain import seconds
from models.quantities import HostPort
from models.temporal_names import SearchAttribute

DEFAULT_NAMESPACE = "default"

_GRACE = timedelta(seconds=10)
_ANSWER = timedelta(seconds=5)
_PAUSE = 0.1
_DAMAGED = ("not a database", "malformed", "disk I/O error", "no such table", "SQL logic error")


class _NotYetError(Exception):
    """The server does not serve yet; the message is the reason."""


def database_file(home: Path) -> Path:
    return home / "temporal.db"


def temporal_child(cli: Path, *, home: Path, port: int, ui_port: int, namespace: str = DEFAULT_NAMESPACE) -> ChildSpec:
    """How to run the dev server. A database that exists is gone on with."""
    options = {
        "--ip": "127.0.0.1",
        "--port": str(port),
        "--ui-port": str(ui_port),
        "--db-filename": str(database_file(home)),
        "--log-level": "warn",
        # Task priority has no effect without it on server 1.29.
        "--dynamic-config-value": "matching.useNewMatcher=true",
    }
    # Survives a killed server; a power cut may cost the last moments, never the file.
    pragmas = ("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL")
    attributes = [part for name in SearchAttribute for part in ("--search-attribute", f"{name}=Keyword")]
    more_namespaces = [] if namespace == DEFAULT_NAMESPACE else ["--namespace", namespace]
    flags = [part for option in options.items() for part in option]
    command = (str(cli), "server", "start-dev", *flags, *pragmas, *attributes, *more_namespaces)
    return ChildSpec(name="temporal", command=command, grace=_GRACE)


Connect = Callable[[HostPort, str], Awaitable[Client]]
"""Makes a client of a server and a namespace. Raises RuntimeError or RPCError."""


async def plainly(address: HostPort, namespace: str) -> Client:
    """Connect without TLS, as to the dev server."""
    return await Client.connect(address, namespace=namespace)


async def wait_until_serving(
    address: HostPort,
    *,
    namespace: str = DEFAULT_NAMESPACE,
    within: timedelta = timedelta(seconds=30),
    connect: Connect = plainly,
) -> None:
    """Return once the namespace answers and knows every search attribute; those it lacks are registered.

    The dev server itself registers them for a new database only. Raises NotServingError, with the reason.
    """
    reason = "it did not answer"
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                try:
                    return await _prepare(address, namespace, connect)
                except _NotYetError as not_yet:
                    reason = str(not_yet)
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise NotServingError(
            f"Temporal at {address} did not serve namespace {namespace!r} within {seconds(within)}: {reason}."
        ) from None


def damaged_database(error: NotServingError, home: Path) -> NotServingError | None:
    """What to tell when the server did not start because of its database; None when that was not why."""
    if not any(sign in str(error) for sign in _DAMAGED):
        return None
    file = database_file(home)
    return NotServingError(
        f"Temporal cannot read its database {file}. Move it away, together with {file.name}-wal and "
        f"{file.name}-shm, and run `holdfast up` again: it then starts with an empty one, without the workflows "
        f"that were in it.\n{error}"
    )


async def _prepare(address: HostPort, namespace: str, connect: Connect) -> None:
    try:
        async with asyncio.timeout(_ANSWER.total_seconds()):
            client = await connect(address, namespace)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace), retry=False)
            missing = await register_missing_attributes(client)
            if missing:
                raise _NotYetError(f"search attribute {', '.join(missing)} is being registered")
    except TimeoutError:
        raise _NotYetError("it did not answer") from None
    except RPCError as error:
        if error.status == RPCStatusCode.PERMISSION_DENIED:
            raise NotServingError(
                f"Temporal at {address} does not let us register search attributes: {error.message}. "
                f"Have {', '.join(SearchAttribute)} registered there as keywords."
            ) from error
        raise _NotYetError(error.message) from error
    except RuntimeError as error:  # how the SDK's core reports a connection that failed
        raise _NotYetError(str(error)) from error
