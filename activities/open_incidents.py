"""Which incidents are open, as Temporal lists them: what inhibition and storms are decided by."""

import asyncio
import logging
import time
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from temporalio.client import Client
from temporalio.service import RPCError

from analysis.placing import Surroundings
from models.ids import IncidentRef, parse_incident_id
from models.incident import Phase
from models.temporal_names import INCIDENT_WORKFLOW, SearchAttribute

LOOK_EVERY = timedelta(seconds=2)
_SHARE = 20
"""Listing takes at most one part in so many of the time."""

_MOST = 20_000
_FRESH = timedelta(seconds=15)
"""How long one that was just begun counts as open before the list has to show it."""

_OPEN = ", ".join(f"'{phase}'" for phase in Phase if phase.open)
_QUERY = (
    f"WorkflowType = '{INCIDENT_WORKFLOW}' AND ExecutionStatus = 'Running' AND {SearchAttribute.PHASE} IN ({_OPEN})"
)

logger = logging.getLogger(__name__)


class OpenIncidents:
    """What is known survives the gateway, as it stands in Temporal; several gateways know the same within seconds.

    While the list cannot be had the last one counts. Without any, nothing is inhibited: an incident too many is better
    than one too few.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._listed: dict[IncidentRef, datetime] = {}
        self._begun: dict[IncidentRef, datetime] = {}
        self._known: dict[IncidentRef, datetime] = {}
        self._opened: dict[IncidentRef, datetime] = {}
        self._times: defaultdict[str, list[datetime]] = defaultdict(list)

    @property
    def now(self) -> datetime:
        return self._now()

    def around(self, environment: str, within: timedelta) -> Surroundings:
        """What an alert of an environment meets that comes now; `within` is how far back new incidents count.

        Its collections grow with what begins, and are for the moment: the next look at Temporal replaces them. To make
        them anew for each alert would take longer, with many incidents open, than all else that is done for it.
        """
        now = self._now()
        self._forget_begun(now)
        times = self._times[environment]
        del times[: bisect_right(times, now - within)]
        return Surroundings(now=now, open_incidents=self._known, opened=times)

    def is_open(self, ref: IncidentRef) -> bool:
        return ref in self._known

    def begins(self, ref: IncidentRef) -> None:
        """It is being opened here, now."""
        now = self._now()
        self._begun.pop(ref, None)
        self._begun[ref] = self._known[ref] = now
        if ref not in self._opened:
            self._opened[ref] = now
            insort(self._times[ref.environment], now)

    def did_not_begin(self, ref: IncidentRef) -> None:
        self._begun.pop(ref, None)
        if ref in self._listed:
            return
        self._known.pop(ref, None)
        at = self._opened.pop(ref, None)
        times = self._times[ref.environment]
        if at in times:
            times.remove(at)

    def _forget_begun(self, now: datetime) -> None:
        """Those that the list should show by now; the oldest stand first."""
        for ref, _at in list(takewhile(lambda each: each[1] <= now - _FRESH, self._begun.items())):
            del self._begun[ref]
            if ref not in self._listed:
                self._known.pop(ref, None)

    async def keep_current(self, client: Callable[[], Client | None], longest_window: Callable[[], timedelta]) -> None:
        """For ever."""
        complained = False
        while True:
            began = time.monotonic()
            connected = client()
            if connected is not None:
                complained = not await self.look(connected, longest_window(), complain=not complained)
            spent = timedelta(seconds=time.monotonic() - began)
            await asyncio.sleep(max(LOOK_EVERY, spent * _SHARE).total_seconds())

    async def look(self, client: Client, window: timedelta, *, complain: bool = True) -> bool:
        """Whether the list could be had."""
        try:
            await self.refresh(client, window)
        except RPCError as error:
            if complain:
                logger.warning("Open incidents cannot be listed; those known last count: %s", error.message)
            return False
        return True

    async def refresh(self, client: Client, window: timedelta) -> None:
        """Raises RPCError."""
        listed: dict[IncidentRef, datetime] = {}
        async for found in client.list_workflows(_QUERY, limit=_MOST, page_size=1000):
            try:
                listed[parse_incident_id(found.id)] = found.start_time
            except ValueError:
                continue  # somebody gave it an id of their own
        now = self._now()
        for ref, started in listed.items():
            # Of one that is known, a later start is only that of its next run.
            self._opened.setdefault(ref, self._listed.get(ref, started))
        self._listed = listed
        self._forget_begun(now)
        self._known = {**listed, **self._begun}
        self._opened = {ref: at for ref, at in self._opened.items() if at > now - window or ref in listed}
        self._times = defaultdict(list)
        for ref, at in self._opened.items():
            self._times[ref.environment].append(at)
        for times in self._times.values():
            times.sort()
