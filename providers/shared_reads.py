"""Many who ask one source at about the same time share its answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class SharedReads(Generic[Key, Answer]):
    """One read at a time: whoever asks while one is under way shares the next, for all that was asked until then.

    So nobody is given what was read before it asked, one who is alone waits for nobody, and a source that takes long
    is asked for more at once instead of more often. A read that fails raises in everybody who shares it; one who is
    cancelled leaves the others their answer.
    """

    def __init__(
        self,
        read: Callable[[frozenset[Key]], Awaitable[Answer]],
        *,
        pause: timedelta = timedelta(),
        share: float = 1.0,
        longest: timedelta = timedelta.max,
    ) -> None:
        """`pause` passes at least between the beginnings of two reads. Reading takes at most this `share` of the time,
        unless that asks for a pause of more than `longest`.
        """
        self._read = read
        self._pause = pause.total_seconds()
        self._share = share
        self._longest = longest.total_seconds()
        self._not_before = 0.0
        self._turn = asyncio.Lock()
        self._next: set[Key] = set()
        self._reading: asyncio.Task[Answer] | None = None

    async def get(self, keys: Collection[Key]) -> Answer:
        """What was read of these keys, and of those that others asked for meanwhile."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._take_turn())
        self._next.update(keys)
        return await asyncio.shield(self._reading)

    async def _take_turn(self) -> Answer:
        async with self._turn:
            now = time.monotonic()
            if now < self._not_before:
                await asyncio.sleep(self._not_before - now)
            keys, self._next, self._reading = frozenset(self._next), set(), None
            began = time.monotonic()
            try:
                return await self._read(keys)
            finally:
                took = time.monotonic() - began
                self._not_before = began + max(self._pause, min(took / self._share, self._longest))
