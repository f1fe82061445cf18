"""Waiting for what will be, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")

PATIENCE = timedelta(seconds=20)
POLL = timedelta(milliseconds=20)


async def eventually(look: Callable[[], Awaitable[T | None]], patience: timedelta = PATIENCE) -> T:
    """Return what `look` finds once it is truthy. Raises TimeoutError after `patience`."""
    async with asyncio.timeout(patience.total_seconds()):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(POLL.total_seconds())
