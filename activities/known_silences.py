"""Which silences people keep, read again every second: what alerts are silenced by, beside the catalog's."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from activities.silence_board import read_silences
from analysis.silences import in_force
from models.incident_spec import Silence
from models.silences import KeptSilence

LOOK_EVERY = timedelta(seconds=1)
COUNT_FOR = timedelta(seconds=30)
"""How long what was read last counts while it cannot be read again: one that somebody has ended since would hide what
nobody means to hide. After that nothing is silenced but by the catalog, as an incident too many is better than one too
few.
"""

_PATIENCE = timedelta(seconds=5)

logger = logging.getLogger(__name__)


class KnownSilences:
    """Several gateways know the same within a second, and so does one that was just started."""

    def __init__(
        self, now: Callable[[], datetime] = lambda: datetime.now(UTC), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._now, self._clock = now, clock
        self._read: tuple[KeptSilence, ...] = ()
        self._read_at: float | None = None
        self._readable = False
        self._complained = False

    def in_force(self) -> tuple[Silence, ...]:
        """Those that count for an alert that comes now."""
        return in_force(self._read, self._now()) if self._counts() else ()

    @property
    def known(self) -> bool:
        """Whether they could be read when that was last tried, and not long ago."""
        return self._readable and self._counts()

    def _counts(self) -> bool:
        return self._read_at is not None and self._clock() - self._read_at <= COUNT_FOR.total_seconds()

    def heard(self, silence: KeptSilence) -> None:
        """One was just ordered here; it counts from this moment on."""
        others = tuple(each for each in self._read if each.id != silence.id)
        self._read = (*others, silence)
        self._read_at = self._read_at or self._clock()

    async def keep_current(self, client: Callable[[], Client | None], environment: Callable[[], str]) -> None:
        """For ever."""
        while True:
            connected = client()
            if connected is not None:
                await self.look(connected, environment())
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def look(self, client: Client, environment: str) -> None:
        asked_at = self._clock()
        try:
            self._read = await read_silences(client, environment, _PATIENCE)
        except (RPCError, ValueError) as error:
            if not self._complained:
                logger.warning("Silences cannot be read; soon alerts are silenced by the catalog alone: %s", error)
            self._complained, self._readable = True, False
        else:
            self._read_at, self._complained, self._readable = asked_at, False, True
