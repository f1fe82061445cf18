"""Heartbeats for long provider calls, so that a dead worker is noticed and a cancellation arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity

from models.base import Payload

BEAT = timedelta(seconds=1)


@asynccontextmanager
async def heartbeating(said: str | Payload = "") -> AsyncIterator[Callable[[str | Payload], None]]:
    """Heartbeat once a second while the block runs; `said`, or what the yielded function was told, travels with it."""

    def say(news: str | Payload) -> None:
        nonlocal said
        said = news
        activity.heartbeat(said)

    next_beat: asyncio.TimerHandle

    def beat() -> None:
        nonlocal next_beat
        activity.heartbeat(said)
        next_beat = loop.call_later(BEAT.total_seconds(), beat)

    loop = asyncio.get_running_loop()
    # A timer, not a task: a watch opens such a block at every look.
    next_beat = loop.call_later(BEAT.total_seconds(), beat)
    try:
        yield say
    finally:
        next_beat.cancel()
