"""Reading what callers send: bounded in size, in time, and in what all of them together may take of memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

from fastapi import HTTPException, Request
from pydantic import JsonValue
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from gateway.lobby import Lobby

BODY_LIMIT = 4 * 2**20
"""Bytes. 5,000 alerts of Alertmanager take about four millions."""

IN_HAND = 8 * 2**20
"""Bytes of bodies at once, of callers that are known. Read and understood they take some ten times as much."""

LEAST = 16 * 2**10
"""What a request is reckoned at that is smaller, as serving one takes memory, too."""

PATIENCE = timedelta(seconds=20)
"""How long a request waits for others to be done, and a body may take to arrive."""

_DRAINED = 32 * 2**20
_DRAINED_WITHIN = timedelta(seconds=5)

_RETRY_AFTER = {"Retry-After": "5"}


class Budget:
    """Lets in as many as there is room for; the others wait in the order in which they came."""

    def __init__(self, room: int = IN_HAND) -> None:
        self._room = room
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Raises TimeoutError when there is no room within `PATIENCE`."""
        await self._enter(size)
        try:
            yield
        finally:
            self._leave(size)

    async def _enter(self, size: int) -> None:
        if not self._waiting and size <= self._room:
            self._room -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave(size)
            raise

    def _leave(self, size: int) -> None:
        self._room += size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and wanted > self._room:
                return
            self._waiting.popleft()
            if not turn.done():
                self._room -= wanted
                turn.set_result(None)


@asynccontextmanager
async def body_of(request: Request, budget: Budget) -> AsyncIterator[bytes]:
    """The body of a caller that is known, for as long as the block lasts. Raises HTTPException."""
    length = _length(request)
    async with AsyncExitStack() as held:
        await held.enter_async_context(_room(budget, LEAST if length is None else length))
        if length is not None:
            yield await _read(request)
            return

        async def grow(size: int) -> None:
            # Given back before it is waited for: those who hold a little and want more would wait for each other.
            if size > LEAST and not grown:
                grown.append(size)
                await held.aclose()
                await held.enter_async_context(_room(budget, BODY_LIMIT))

        grown: list[int] = []
        yield await _read(request, grow)


@asynccontextmanager
async def proved_body_of(
    request: Request, lobby: Lobby, budget: Budget, prove: Callable[[bytes], None]
) -> AsyncIterator[bytes]:
    """The body of a caller that nothing but the body can prove, once it has. Raises HTTPException, and what `prove`
    raises.
    """
    _length(request)
    async with AsyncExitStack() as arriving:
        guest = arriving.enter_context(lobby.guest())
        body = await _read(request, guest.grow)
        guest.is_read()
        prove(body)
        async with _room(budget, len(body)):
            await arriving.aclose()
            yield body


def _length(request: Request) -> int | None:
    """What is said of it; None where nothing is."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with content-type application/json.")
    said = request.headers.get("content-length", "")
    if not (said.isascii() and said.isdigit() and len(said) < len(str(2**63))):
        return None
    if int(said) > BODY_LIMIT:
        raise _too_large()
    return int(said)


@asynccontextmanager
async def _room(budget: Budget, size: int) -> AsyncIterator[None]:
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(budget.holding(max(size, LEAST)))
        except TimeoutError as error:
            raise _too_much() from error
        yield


async def _read(request: Request, grow: Callable[[int], Awaitable[None]] | None = None) -> bytes:
    """`grow` returns once there is room for so many bytes."""
    read = bytearray()
    waits = False
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for chunk in request.stream():
                if len(read) + len(chunk) > BODY_LIMIT:
                    raise _too_large()
                if grow:
                    waits = True
                    await grow(len(read) + len(chunk))
                    waits = False
                read += chunk
    except TimeoutError as error:
        if waits:
            raise _too_much() from error
        raise HTTPException(408, f"The body did not arrive within {PATIENCE.total_seconds():.0f} seconds.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The connection was closed before the body was there.") from error
    return bytes(read)


async def drained(request: Request) -> None:
    """Read on what nobody wants, within limits: a caller that is still sending would see a broken connection instead of
    the answer.
    """
    left = _DRAINED
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last where all of it was read
        async with asyncio.timeout(_DRAINED_WITHIN.total_seconds()):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return


def _too_much() -> HTTPException:
    return HTTPException(503, "Too much is under way; send it again in a few seconds.", _RETRY_AFTER)


def _too_large() -> HTTPException:
    return HTTPException(413, f"The body is larger than {BODY_LIMIT} bytes; send fewer alerts at once.")


def json_of(body: bytes) -> JsonValue:
    """Raises HTTPException for what is no JSON, or is none that can be kept: no number, half a character, too deep."""
    try:
        parsed: JsonValue = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from error
    return parsed
