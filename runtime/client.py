"""The connection to Temporal."""

import asyncio
import logging
import os
import socket
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Interceptor as WorkerInterceptor

from models.quantities import HostPort, format_duration
from runtime.connection_security import connection_security
from runtime.keyring import load_keyring
from runtime.plugin import holdfast_plugin
from runtime.refusals import explain, refused, unreachable
from runtime.sentry import sentry_interceptors
from runtime.settings import Settings
from runtime.tracing import tracing_interceptors

CONNECT_TIMEOUT = timedelta(seconds=3)
"""A person waits for it; a server that is up answers within milliseconds."""

FIRST_PAUSE = timedelta(milliseconds=250)
LONGEST_PAUSE = timedelta(seconds=5)
"""A worker asks again at least this often, so that it works within seconds of Temporal's return."""

logger = logging.getLogger(__name__)


class TemporalUnreachableError(Exception):
    """Temporal cannot be used; the sentence says where it was sought, what happened and what to do."""


async def connect(
    settings: Settings,
    *,
    address: HostPort | None = None,
    timeout: timedelta = CONNECT_TIMEOUT,  # noqa: ASYNC109 - part of the contract; kept with asyncio.timeout below
    runtime: Runtime | None = None,
    namespace_exists: bool = True,
) -> Client:
    """Return a client that has proved to reach its namespace; the server alone when that is to be made yet.

    The server is `settings.temporal_address`, else `address` (the local stack's, where one runs), else the local
    stack's usual port. Raises TemporalUnreachableError after `timeout` at the latest, and SettingsError for TLS files
    or keys that cannot be used.
    """
    target = _target(settings, address)
    security = connection_security(settings)
    interceptors: list[ClientInterceptor | WorkerInterceptor] = [
        *tracing_interceptors(),
        *sentry_interceptors(settings),
    ]
    plugin = holdfast_plugin(interceptors, load_keyring(settings))
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            client = await Client.connect(
                target,
                namespace=settings.temporal_namespace,
                plugins=[plugin],
                tls=security.tls,
                api_key=security.api_key,
                identity=f"holdfast@{socket.gethostname()}:{os.getpid()}",
                runtime=runtime,
            )
            if namespace_exists:
                await client.workflow_service.describe_namespace(
                    DescribeNamespaceRequest(namespace=settings.temporal_namespace), retry=False
                )
    except TimeoutError as error:
        reason = f"it did not answer within {format_duration(timeout)}"
        raise TemporalUnreachableError(unreachable(target, reason)) from error
    except RPCError as error:
        raise TemporalUnreachableError(_refusal(target, settings, error)) from error
    except (RuntimeError, ValueError) as error:  # how the SDK's core reports a connection that failed
        raise TemporalUnreachableError(explain(target, settings, str(error))) from error
    return client


async def connect_when_up(
    settings: Settings,
    stopping: asyncio.Event,
    *,
    address: HostPort | None = None,
    runtime: Runtime | None = None,
) -> Client | None:
    """Connect, however long Temporal takes to be there. Returns None once `stopping` is set.

    Raises TemporalUnreachableError at once when no address is known, as waiting would not bring one, and SettingsError.
    """
    _target(settings, address)
    pause = FIRST_PAUSE
    while not stopping.is_set():
        try:
            return await connect(settings, address=address, runtime=runtime)
        except TemporalUnreachableError as error:
            logger.warning("Waiting for Temporal: %s", error, extra={"next_attempt_seconds": pause.total_seconds()})
        try:
            await asyncio.wait_for(stopping.wait(), pause.total_seconds())
        except TimeoutError:
            pause = min(pause * 2, LONGEST_PAUSE)
    return None


def _target(settings: Settings, address: HostPort | None) -> str:
    target = settings.temporal_address or address
    if target is None and settings.temporal_port:
        target = f"127.0.0.1:{settings.temporal_port}"
    if target is None:
        raise TemporalUnreachableError(
            "Where Temporal is, is not known: no local stack is recorded and HOLDFAST_TEMPORAL_PORT is 0. "
            "Run `holdfast up`, or set HOLDFAST_TEMPORAL_ADDRESS."
        )
    return target


def _refusal(target: HostPort, settings: Settings, error: RPCError) -> str:
    if error.status is RPCStatusCode.NOT_FOUND:
        return (
            f"Temporal at {target} has no namespace {settings.temporal_namespace!r}. Make it with `holdfast setup`, "
            "or name another in HOLDFAST_TEMPORAL_NAMESPACE."
        )
    if error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}:
        return refused(target, settings, error.status)
    return unreachable(target, error.message)
