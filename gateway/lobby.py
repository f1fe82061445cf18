"""Where bodies wait of which nobody knows yet who sent them: a small room of their own, in which only bytes count that
have arrived.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

ROOM = 6 * 2**20
"""Bytes, beside those of callers that are known."""


class Lobby:
    """Whoever is being read the longest may take up to `longest`; the others share what is left beside that. So one is
    always read to its end, and then the next: bodies that wait for each other's room would wait for ever.
    """

    def __init__(self, longest: int, room: int = ROOM) -> None:
        self._longest, self._room = longest, room
        self.held = 0
        self._reading: OrderedDict[Guest, None] = OrderedDict()
        self._waiting: list[asyncio.Future[None]] = []

    @contextmanager
    def guest(self) -> Iterator["Guest"]:
        guest = Guest(self)
        self._reading[guest] = None
        try:
            yield guest
        finally:
            self._reading.pop(guest, None)
            self.held -= guest.held
            self._wake()

    async def grow(self, guest: "Guest", size: int) -> None:
        while not self._fits(guest, size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self.held += size - guest.held
        guest.held = size

    def is_read(self, guest: "Guest") -> None:
        del self._reading[guest]
        self._wake()

    def _fits(self, guest: "Guest", size: int) -> bool:
        oldest = next(iter(self._reading))
        others = self.held - guest.held
        if guest is oldest:
            return others + size <= self._room
        return others - oldest.held + size <= self._room - self._longest

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


class Guest:
    """One body on its way."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self.held = 0

    async def grow(self, size: int) -> None:
        """Return once there is room for so many bytes of it."""
        await self._lobby.grow(self, size)

    def is_read(self) -> None:
        """All of it is there; it waits for nobody here any more."""
        self._lobby.is_read(self)
