"""Which incidents are open, as Temporal lists them: what inhibition and storms are decided by."""

import asyncio
import logging
import time
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from analysis.placing import Surroundings
from analysis.silencing import OpenNow
from models.ids import IncidentRef, parse_incident_id
from models.incident import Phase
from models.severity import Severity
from models.temporal_names import INCIDENT_WORKFLOW, SearchAttribute

LOOK_EVERY = timedelta(seconds=2)
_SHARE = 20
"""Listing takes at most one part in so many of the time."""

_MOST = 20_000
_FRESH = timedelta(seconds=15)
"""How long one that was just begun counts as open before the list has to show it."""

TRUSTED_FOR = timedelta(seconds=10)
"""How long a list that was read tells that something is not open."""

_SEVERITY = SearchAttributeKey.for_keyword(SearchAttribute.SEVERITY)

_OPEN = ", ".join(f"'{phase}'" for phase in Phase if phase.open)
_QUERY = (
    f"WorkflowType = '{INCIDENT_WORKFLOW}' AND ExecutionStatus = 'Running' AND {SearchAttribute.PHASE} IN ({_OPEN})"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Listed:
    started: datetime
    severity: Severity


class OpenIncidents:
    """What is known survives the gateway, as it stands in Temporal; several gateways know the same within seconds.

    While the list cannot be had the last one counts. Without any, nothing is inhibited: an incident too many is better
    than one too few.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._read_at: datetime | None = None
        self.listed = False
        """Whether they could be listed when it was last tried."""
        self._listed: dict[IncidentRef, _Listed] = {}
        self._begun: dict[IncidentRef, _Listed] = {}
        self._known = OpenNow()
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

    def knows(self, ref: IncidentRef) -> bool:
        """Whether it is open, as far as is known."""
        return ref in self._known

    def may_be_open(self, ref: IncidentRef) -> bool:
        """Whether it is known to be open, or nothing that was read lately says that it is not. A list that is fresh may
        miss what another process began within the last two seconds.
        """
        return ref in self._known or self._read_at is None or self._now() - self._read_at > TRUSTED_FOR

    def counts(self, ref: IncidentRef) -> None:
        """It may be opened now, by itself: it counts towards a storm, and as open once it is listed."""
        if ref not in self._opened:
            now = self._now()
            self._opened[ref] = now
            insort(self._times[ref.environment], now)

    def begins(self, ref: IncidentRef, severity: Severity) -> None:
        """It is being opened here, now."""
        now = self._now()
        self._begun.pop(ref, None)
        self._begun[ref] = _Listed(now, severity)
        self._known.add(ref, severity)
        self.counts(ref)

    def did_not_begin(self, ref: IncidentRef) -> None:
        self._begun.pop(ref, None)
        if ref in self._listed:
            return
        self._known.discard(ref)
        at = self._opened.pop(ref, None)
        times = self._times[ref.environment]
        if at in times:
            times.remove(at)

    def _forget_begun(self, now: datetime) -> None:
        """Those that the list should show by now; the oldest stand first."""
        for ref, _at in list(takewhile(lambda each: each[1].started <= now - _FRESH, self._begun.items())):
            del self._begun[ref]
            if ref not in self._listed:
                self._known.discard(ref)

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
            self.listed = False
            if complain:
                logger.warning("Open incidents cannot be listed; those known last count: %s", error.message)
            return False
        self.listed = True
        return True

    async def refresh(self, client: Client, window: timedelta) -> None:
        """Raises RPCError."""
        listed: dict[IncidentRef, _Listed] = {}
        asked_at = self._now()
        async for found in client.list_workflows(_QUERY, limit=_MOST, page_size=1000):
            try:
                listed[parse_incident_id(found.id)] = _Listed(found.start_time, _severity_of(found))
            except ValueError:
                continue  # somebody gave it an id of their own
        now = self._now()
        for ref, each in listed.items():
            # Of one that is known, a later start is only that of its next run.
            self._opened.setdefault(ref, self._listed.get(ref, each).started)
        self._listed, self._read_at = listed, asked_at
        self._forget_begun(now)
        self._known = OpenNow({ref: each.severity for ref, each in {**self._begun, **listed}.items()})
        self._opened = {ref: at for ref, at in self._opened.items() if at > now - window or ref in listed}
        self._times = defaultdict(list)
        for ref, at in self._opened.items():
            self._times[ref.environment].append(at)
        for times in self._times.values():
            times.sort()


def _severity_of(found: WorkflowExecution) -> Severity:
    """One that says nothing is the least grave: an incident too many is better than one too few."""
    try:
        return Severity(found.typed_search_attributes.get(_SEVERITY) or "")
    except ValueError:
        return Severity.SEV4
