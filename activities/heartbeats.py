"""Heartbeats for long provider calls, so that a dead worker is noticed and a cancellation arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity

from models.base import Payload

BEAT = timedelta(seconds=1)


@asynccontextmanager
async def heartbeating(said: str | Payload = "") -> AsyncIterator[Callable[[str], None]]:
    """Heartbeat once a second while the block runs; `said`, or what the yielded function was told, travels with it."""

    def say(text: str) -> None:
        nonlocal said
        said = text
        activity.heartbeat(said)

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            activity.heartbeat(said)

    beating = asyncio.create_task(beat())
    try:
        yield say
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
