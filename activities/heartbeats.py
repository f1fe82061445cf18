"""Heartbeats for long provider calls, so that a dead worker is noticed and a cancellation arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

BEAT = timedelta(seconds=1)


@asynccontextmanager
async def heartbeating() -> AsyncIterator[Callable[[str], None]]:
    """Heartbeat once a second while the block runs; what the yielded function is told travels with it."""
    said = ""

    def say(text: str) -> None:
        nonlocal said
        said = text
        activity.heartbeat(said)

    async def beat() -> None:
        while True:
            activity.heartbeat(said)
            await asyncio.sleep(BEAT.total_seconds())

    beating = asyncio.create_task(beat())
    try:
        yield say
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
