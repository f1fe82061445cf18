"""A gRPC server with TLS before a plain Temporal, as a cloud or a company's gateway is: it may ask for a client's
certificate and for an API key, and passes on what it lets through.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from models.quantities import HostPort
from tests.runtime.certificates import Certified

if TYPE_CHECKING:
    Passing = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]


class _Guard(grpc.GenericRpcHandler):
    def __init__(self, temporal: grpc.aio.Channel, api_key: str | None, forbidden: bool) -> None:
        self._temporal = temporal
        self._api_key = api_key
        self._forbidden = forbidden

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(self._passing(handler_call_details.method))

    def _passing(self, method: str) -> "Passing":
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._temporal.unary_unary(method)

        async def passing(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
            sent = dict(context.invocation_metadata() or ())
            if self._api_key and sent.get("authorization") != f"Bearer {self._api_key}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            if self._forbidden:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "Request unauthorized.")
            try:
                answer = await call(request)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "", error.trailing_metadata())
                raise
            return answer

        return passing


@asynccontextmanager
async def guarded(
    temporal: HostPort,
    server: Certified,
    *,
    clients: Path | None = None,
    api_key: str | None = None,
    forbidden: bool = False,
) -> AsyncIterator[HostPort]:
    """Guard a plain Temporal; yields where to connect to instead.

    `clients` is the authority whose certificates clients must show. `forbidden` lets nobody do anything.
    """
    credentials = grpc.ssl_server_credentials(
        [(server.key.read_bytes(), server.cert.read_bytes())],
        root_certificates=clients.read_bytes() if clients else None,
        require_client_auth=clients is not None,
    )
    async with grpc.aio.insecure_channel(temporal) as channel:
        guard = grpc.aio.server(handlers=[_Guard(channel, api_key, forbidden)])
        port = guard.add_secure_port("127.0.0.1:0", credentials)
        await guard.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await guard.stop(grace=None)
