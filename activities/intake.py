"""From alerts that were understood to incidents in Temporal; what it has not confirmed is said to have failed."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.known_silences import KnownSilences
from activities.mailboxes import Letter, Mailboxes
from activities.open_incidents import OpenIncidents
from activities.suppressions import Suppressions
from activities.telling import RPC_TIMEOUT, Teller
from analysis.placing import Placed, Routing, Surroundings, ToSend, by_incident, place
from analysis.storm import umbrella
from models.alert import Alert, AlertStatus, Normalised, Suppressed, SuppressedBy
from models.audit import AuditEntry
from models.front_door import AlertsAnswer, NotTaken, OpensNothing, TakenBy
from models.ids import IncidentRef, ServiceRef, incident_id

AT_ONCE = 32
"""Calls to Temporal. It serves about as many at its full pace. More would only wait there, before the decisions that
the same alerts ask for; what waits here for the same incident becomes one call.
"""

DEADLINE = timedelta(seconds=20)
"""For all alerts of a request. Senders give up after ten to thirty seconds."""

NO_ANSWER = "Temporal did not answer in time"


@dataclass
class _Outcome:
    taken: list[TakenBy] = field(default_factory=list)
    failed: list[NotTaken] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)


class Intake:
    """`here` is what takes alerts in, for the audit log."""

    def __init__(self, around: OpenIncidents, silences: KnownSilences, here: str = "gateway") -> None:
        self._around, self._silences = around, silences
        self._here = here
        self._mailboxes = Mailboxes(Teller().tell, AT_ONCE)
        self._suppressions = Suppressions(RPC_TIMEOUT)

    async def take(
        self, client: Client | None, routing: Routing, found: Normalised, *, request: str, who: str
    ) -> AlertsAnswer:
        """All alerts of one request: each incident's in one signal, incidents in parallel. Raises nothing.

        What other requests say to an incident at the same time goes along in the same signal.
        """
        groups, suppressed = self._placed(found.alerts, routing, request)
        outcome = _Outcome(suppressed=suppressed)
        of_each: dict[IncidentRef, list[ToSend]] = {}
        for group in groups:
            of_each.setdefault(group.request.ref, []).append(group)
        await asyncio.gather(*(self._send_in_order(client, each, outcome) for each in of_each.values()))
        unrecorded = await self._record(client, outcome.suppressed, request, who)
        return AlertsAnswer(
            request=request,
            taken=sum(each.fired + each.cleared for each in outcome.taken),
            incidents=tuple(outcome.taken),
            suppressed=() if unrecorded else tuple(_said(each) for each in outcome.suppressed),
            failed=(*outcome.failed, *unrecorded),
            problems=found.problems,
            ignored=found.ignored,
        )

    def _placed(
        self, alerts: Iterable[Alert], routing: Routing, request: str
    ) -> tuple[tuple[ToSend, ...], list[Suppressed]]:
        met: dict[str, Surroundings] = {}
        silences = self._silences.in_force()
        placed: list[Placed] = []
        suppressed: list[Suppressed] = []
        for alert in alerts:
            if alert.environment not in met:
                around = self._around.around(alert.environment, routing.incidents.storm.within)
                met[alert.environment] = replace(around, silences=silences)
            around = met[alert.environment]
            where = place(alert, routing, around)
            if isinstance(where, Suppressed):
                suppressed.append(where)
                continue
            placed.append(where)
            if alert.status is AlertStatus.FIRED and where.ref not in around.open_incidents:
                self._around.begins(where.ref)
            storm = umbrella(alert.environment)
            if alert.status is AlertStatus.CLEARED and self._around.is_open(storm) and where.ref != storm:
                # It may have fired into the storm's own incident, which cannot end otherwise.
                placed.append(Placed(alert, storm, where.severity, umbrella=True))
        return by_incident(placed, routing.incidents, request), suppressed

    async def _send_in_order(self, client: Client | None, groups: Sequence[ToSend], outcome: _Outcome) -> None:
        """All that one incident is told; what clears may be what fires before it."""
        for group in groups:
            await self._send(client, group, outcome)

    async def _send(self, client: Client | None, group: ToSend, outcome: _Outcome) -> None:
        ref = group.request.ref
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                if client is None:
                    self._failed(group, outcome, "Temporal is not reached")
                    return
                await self._deliver(client, group, outcome)
        except TimeoutError:
            self._failed(group, outcome, NO_ANSWER)
        except RPCError as error:
            why = NO_ANSWER if error.status in _NO_ANSWER else f"Temporal did not take it: {error.message[:300]}"
            self._failed(group, outcome, why)
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                self._around.did_not_begin(ref)

    def _failed(self, group: ToSend, outcome: _Outcome, why: str) -> None:
        ref = group.request.ref
        if group.fired:
            self._around.did_not_begin(ref)
        outcome.failed.append(NotTaken(incident=incident_id(ref), alerts=len(group.alerts), why=why))

    async def _deliver(self, client: Client, group: ToSend, outcome: _Outcome) -> None:
        """Raises RPCError."""
        fired = cleared = 0
        if group.fired:
            await self._mailboxes.send(Letter(client, group.request, group.fired, fires=True))
            fired = len(group.fired.alerts)
        if group.cleared:
            if await self._mailboxes.send(Letter(client, group.request, group.cleared, fires=False)):
                cleared = len(group.cleared.alerts)
            elif group.request.ref.service != umbrella(group.request.ref.environment).service:
                outcome.suppressed += [
                    _nothing_open(alert) for alert in group.alerts if alert.status is AlertStatus.CLEARED
                ]
        if fired or cleared:
            outcome.taken.append(TakenBy(incident=incident_id(group.request.ref), fired=fired, cleared=cleared))

    async def _record(
        self, client: Client | None, suppressed: list[Suppressed], request: str, who: str
    ) -> tuple[NotTaken, ...]:
        """What could not be recorded, which is to be sent again like what was not taken."""
        if not suppressed:
            return ()
        why = "Temporal is not reached"
        if client is not None:
            now = self._around.now
            entries = [
                AuditEntry(
                    key=f"{request}/{number}",
                    at=now,
                    who=who,
                    what=f"alert {each.alert.status}",
                    ref=ServiceRef(environment=each.alert.environment, service=each.alert.service),
                    from_where=f"{self._here}@{socket.gethostname()}",
                    outcome="suppressed",
                    why=each.why[:500],
                    note=each.alert.title,
                )
                for number, each in enumerate(suppressed)
            ]
            try:
                async with asyncio.timeout(DEADLINE.total_seconds()):
                    await self._suppressions.keep(client, entries)
            except (RPCError, TimeoutError) as error:
                why = f"why it opens nothing could not be recorded: {getattr(error, 'message', NO_ANSWER)[:300]}"
            else:
                return ()
        return (NotTaken(incident="", alerts=len(suppressed), why=why),)


_NO_ANSWER = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})


def _nothing_open(alert: Alert) -> Suppressed:
    why = "it says that something is right again of which no incident is open"
    return Suppressed(alert=alert, by=SuppressedBy.NOTHING_OPEN, why=why)


def _said(each: Suppressed) -> OpensNothing:
    return OpensNothing(title=each.alert.title, by=each.by, why=each.why, key=each.alert.dedupe_key)
