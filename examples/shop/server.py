"""A small real web service to roll out: `python -m examples.shop.server --port 8000 --version v1`.

HTTP/1.1 with keep-alive. After SIGTERM it accepts no connection, finishes the requests under way and exits with 0.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from http import HTTPStatus

from examples.shop.pages import Page, Shop
from examples.shop.versions import Behaviour, behaviour_of

HOST = "127.0.0.1"
_MOST_HEADER_BYTES = 32 * 1024
_MOST_BODY_BYTES = 1024 * 1024
_IDLE_SECONDS = 75.0


class BadRequestError(Exception):
    """What was sent is not a request that this server understands."""


class Server:
    """Speaks HTTP/1.1 for a shop. Connections that wait for a next request are closed when it stops."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._stopping = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, port: int, version: str) -> None:
        """Serve until `stop`, and until every request under way is answered. Raises OSError if the port is taken."""
        listener = await asyncio.start_server(self._connected, HOST, port, limit=_MOST_HEADER_BYTES)
        print(f"shop {version} listens on http://{HOST}:{listener.sockets[0].getsockname()[1]}", flush=True)
        try:
            await self._stopping.wait()
        finally:
            listener.close()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except BadRequestError as error:
            writer.write(_response(Page(400, f"{error}\n".encode()), keep=False, with_body=True))
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # The customer has gone, which is theirs to choose.
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await self._next_head(reader):
            method, target, headers = _parse(head)
            await _discard_body(reader, headers)
            page = await self._shop.answer(target)
            keep = headers.get("connection", "").lower() != "close" and not self._stopping.is_set()
            writer.write(_response(page, keep=keep, with_body=method != "HEAD"))
            await writer.drain()
            if not keep:
                return

    async def _next_head(self, reader: asyncio.StreamReader) -> bytes:
        """The next request's head, or nothing when the connection, or the server, is at its end."""
        reading = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return b""
            return reading.result()
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return b""
        except asyncio.LimitOverrunError as error:
            raise BadRequestError("the headers are too large") from error
        finally:
            reading.cancel()
            stopping.cancel()


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
        raise BadRequestError("this is not an HTTP/1.1 request")
    pairs = (line.partition(":") for line in lines)
    return parts[0], parts[1], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _discard_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
    """The shop has no use for what is sent, but it stands before the next request."""
    if "transfer-encoding" in headers:
        raise BadRequestError("send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > _MOST_BODY_BYTES:
        raise BadRequestError(f"a Content-Length is a number up to {_MOST_BODY_BYTES}")
    await reader.readexactly(int(length))


def _response(page: Page, *, keep: bool, with_body: bool) -> bytes:
    lines = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(page.body)}",
        f"connection: {'keep-alive' if keep else 'close'}",
    )
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head + page.body if with_body else head


async def run(port: int, version: str, behaviour: Behaviour) -> None:
    """Serve one version until SIGTERM or SIGINT, with the faults of its behaviour."""
    if behaviour.crashes_at_start:
        raise RuntimeError(f"shop {version} cannot start: the setting payment.url is missing")
    server = Server(Shop(version, behaviour))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    if behaviour.crashes_after is not None:
        loop.call_later(behaviour.crashes_after.total_seconds(), _crash, version)
    await server.serve(port, version)


def _crash(version: str) -> None:
    """End as a process does that the system kills: at once, with requests unanswered."""
    print(f"shop {version}: fatal: the table of sessions is corrupt", file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="A small web shop, to be rolled out.")
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}; 0 for any free one")
    parser.add_argument("--version", default="v1", help="v1 to v11 behave as examples/shop/versions.py says")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.port, arguments.version, behaviour_of(arguments.version)))
    except OSError as error:
        sys.exit(f"shop {arguments.version} cannot listen on {HOST}:{arguments.port}: {error.strerror}")


if __name__ == "__main__":
    main()
