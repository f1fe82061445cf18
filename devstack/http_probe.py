"""Asking a local part over HTTP how it is, without a client library."""

import asyncio
from contextlib import suppress

from models.quantities import HostPort, host_of, port_of

_LIMIT = 2.0


async def http_status(address: HostPort, path: str) -> int | None:
    """The status code of a GET; None when nothing answers within 2 s."""
    with suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(_LIMIT):
            reader, writer = await asyncio.open_connection(host_of(address).strip("[]"), port_of(address))
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return None


async def wait_for_ok(address: HostPort, path: str) -> None:
    """Return once the answer is 200; the caller bounds the time."""
    while await http_status(address, path) != 200:  # noqa: PLR2004, ASYNC110 - OK; others do not set our events
        await asyncio.sleep(0.1)
