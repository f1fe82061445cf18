"""A durable timer that costs nothing while what it waits for moves away."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow


class Alarm:
    """Rings when something may be due: too early at times, never too late. A timer of Temporal is begun anew only for
    something that is due sooner, so a thousand messages that change nothing of it add no event.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._due: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, due: datetime | None) -> None:
        if due is None:
            return
        if self._task and not self._task.done():
            if self._due and self._due <= due:
                return
            self._task.cancel()
        self._due = due
        self._task = asyncio.create_task(self._wait(due))

    async def _wait(self, due: datetime) -> None:
        await workflow.sleep(max(due - workflow.now(), timedelta(milliseconds=1)))
        self._ring()
