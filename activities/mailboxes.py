"""What waits to be told to an incident goes to it together, in the order in which it came."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from analysis.placing import MOST_IN_A_SIGNAL
from models.held import HeldSignal
from models.ids import IncidentRef
from models.incident import AlertSignal, IncidentRequest
from models.temporal_names import IncidentSignal

_TOO_MUCH = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.RESOURCE_EXHAUSTED})


@dataclass(frozen=True, eq=False)
class Letter:
    """What one request says to one incident, which begins with `request` where there is none of its key: unless it is
    only told that something cleared.
    """

    client: Client
    request: IncidentRequest
    signal: AlertSignal | HeldSignal
    what: IncidentSignal
    answer: "asyncio.Future[bool]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def goes_with(self, first: "Letter") -> bool:
        return (self.what, self.client) == (first.what, first.client)


Tell = Callable[[Sequence[Letter]], Awaitable[bool]]
"""Tells an incident all of these, which go with each other, in one call: whether there was one. Raises RPCError."""


class Mailboxes:
    """Of each incident one call is under way at a time, and at most `at_once` of all."""

    def __init__(self, tell: Tell, at_once: int) -> None:
        self._tell = tell
        self._turns = asyncio.Semaphore(at_once)
        self._letters: dict[IncidentRef, deque[Letter]] = {}
        self._carriers: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> bool:
        """Return once Temporal has it: whether there was an incident to tell. Raises RPCError.

        One that nobody waits for any more is not sent, unless it is on its way.
        """
        ref = letter.request.ref
        if ref in self._letters:
            self._letters[ref].append(letter)
        else:
            self._letters[ref] = deque((letter,))
            carrier = asyncio.create_task(self._carry(ref))
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)
        try:
            return await letter.answer
        finally:
            del letter  # which an error that it holds would hold

    async def _carry(self, ref: IncidentRef) -> None:
        letters = self._letters[ref]
        while letters:
            async with self._turns:
                await self._deliver(_together(letters))
        del self._letters[ref]

    async def _deliver(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        try:
            there = await self._tell(letters)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            if len(letters) > 1 and isinstance(error, RPCError) and error.status in _TOO_MUCH:
                for letter in letters:  # one that Temporal does not take is to take no other with it
                    await self._deliver([letter])
                return
            for letter in letters:
                if not letter.answer.done():
                    letter.answer.set_exception(error.with_traceback(None))
        else:
            for letter in letters:
                if not letter.answer.done():
                    letter.answer.set_result(there)


def _together(letters: deque[Letter]) -> list[Letter]:
    """Take out the first ones, as many as fit into one signal; those given up go, too."""
    taken: list[Letter] = []
    alerts = 0
    while letters:
        letter = letters[0]
        if not letter.answer.done():
            alerts += len(letter.signal.alerts)
            if taken and (not letter.goes_with(taken[0]) or alerts > MOST_IN_A_SIGNAL):
                break
            taken.append(letter)
        letters.popleft()
    return taken
