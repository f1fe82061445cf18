"""The codec server: decrypts for the Temporal UI and the `temporal` command what only key holders can read.

Speaks Temporal's remote codec protocol: POST /encode and /decode, a `Payloads` message as JSON in and out.
https://docs.temporal.io/production-deployment/data-encryption
"""

import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from google.protobuf import json_format
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads

from runtime.codec import EncryptionCodec, UnreadablePayloadError
from runtime.keyring import Keyring

BODY_LIMIT = 16 * 2**20
"""Bytes. Temporal passes on messages of 4 MiB, which base64 and JSON make larger by about half."""

_OWN_MACHINE = ["127.0.0.1", "localhost", "::1", "[::1]"]

logger = logging.getLogger(__name__)

Coding = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def codec_app(keyring: Keyring, *, origins: Sequence[str] = (), token: SecretStr | None = None) -> FastAPI:
    """Build the server's application.

    `origins` are those of the Temporal UI, which browsers may call this from; no other page may. With `token` each
    call must show it as a bearer token. Without, only calls to this machine's own name are answered, so that no page
    can reach it under a name that it made up.
    """
    app = FastAPI(title="Holdfast codec server", docs_url=None, redoc_url=None, openapi_url=None)
    if token is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_OWN_MACHINE, www_redirect=False)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
        max_age=600,
    )
    codec = EncryptionCodec(keyring)
    known = Depends(_knows(token))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"state": "ok"}

    @app.post("/encode", dependencies=[known])
    async def encode(body: Body) -> Response:
        return await _coded(body, codec.encode)

    @app.post("/decode", dependencies=[known])
    async def decode(body: Body, request: Request) -> Response:
        answer = await _coded(body, codec.decode)
        who = request.client.host if request.client else "unknown"
        logger.info("Decoded payloads for %s", who, extra={"namespace": request.headers.get("x-namespace", "")})
        return answer

    return app


def _knows(token: SecretStr | None) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        if token is None:
            return
        shown = request.headers.get("authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {token.get_secret_value()}".encode()):
            raise HTTPException(
                401,
                "This codec server wants `Authorization: Bearer` with the token in HOLDFAST_CODEC_SERVER_TOKEN; for "
                "the temporal command that is --codec-auth.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check


async def _body(request: Request) -> bytes:
    """Read a JSON body of bounded size. Another content type is what a page may send without asking first."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with content-type application/json.")
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_LIMIT:
            raise HTTPException(413, f"The body is larger than {BODY_LIMIT} bytes.")
    return bytes(read)


Body = Annotated[bytes, Depends(_body)]


async def _coded(body: bytes, coding: Coding) -> Response:
    try:
        payloads = json_format.Parse(body, Payloads()).payloads
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise HTTPException(400, "The body is not a Payloads message in JSON.") from error
    try:
        coded = await coding(payloads)
    except UnreadablePayloadError as error:
        raise HTTPException(400, str(error)) from error
    return Response(json_format.MessageToJson(Payloads(payloads=coded), indent=None), media_type="application/json")
