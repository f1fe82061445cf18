"""From alerts that were understood to incidents in Temporal; what it has not confirmed is said to have failed."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.known_silences import KnownSilences
from activities.mailboxes import Letter, Mailboxes
from activities.open_incidents import OpenIncidents
from activities.suppressions import Suppressions
from activities.telling import RPC_TIMEOUT, Teller
from analysis.placing import Placed, Placing, Routing, Surroundings, ToSend, by_incident, in_storm
from analysis.storm import umbrella
from models.alert import Alert, AlertStatus, Normalised, Suppressed, SuppressedBy
from models.audit import AuditEntry
from models.front_door import AlertsAnswer, NotTaken, OpensNothing, TakenBy
from models.ids import IncidentRef, ServiceRef, incident_id
from models.severity import Severity
from models.temporal_names import IncidentSignal

AT_ONCE = 32
"""Calls to Temporal. It serves about as many at its full pace. More would only wait there, before the decisions that
the same alerts ask for; what waits here for the same incident becomes one call.
"""

DEADLINE = timedelta(seconds=20)
"""For all alerts of a request, and for why some of them open nothing. Senders give up after ten to thirty seconds."""

NO_ANSWER = "Temporal did not answer in time"

_WITHOUT_A_BREAK = 100
"""Alerts that are placed, or put together, before others get their turn: some milliseconds."""


@dataclass
class _Outcome:
    """`unknown` are those that cleared of which their own incident is not there; `umbrellas`, whether there was one."""

    taken: list[TakenBy] = field(default_factory=list)
    failed: list[NotTaken] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)
    unknown: list[Alert] = field(default_factory=list)
    umbrellas: dict[str, bool] = field(default_factory=dict)


class Intake:
    """`here` is what takes alerts in, for the audit log. `asked` is the task queue of who tells incidents whether
    something still keeps the alerts that they hold; without one nothing is held, and what is suppressed is to be sent
    again.
    """

    def __init__(
        self, around: OpenIncidents, silences: KnownSilences, here: str = "gateway", *, asked: str = ""
    ) -> None:
        self._around, self._silences = around, silences
        self._here, self._asked = here, asked
        self._mailboxes = Mailboxes(Teller().tell, AT_ONCE)
        self._suppressions = Suppressions(RPC_TIMEOUT)

    async def take(
        self, client: Client | None, routing: Routing, found: Normalised, *, request: str, who: str
    ) -> AlertsAnswer:
        """All alerts of one request: each incident's in one signal, incidents in parallel. Raises nothing.

        What other requests say to an incident at the same time goes along in the same signal.
        """
        until = asyncio.get_running_loop().time() + DEADLINE.total_seconds()
        outcome = _Outcome()
        placed = await self._placed(found.alerts, routing, outcome)
        await self._tell(client, placed, routing, outcome, request, until)
        # Under a name of its own: sent again, the request may tell the same incident more under the other.
        of_a_storm = self._perhaps_of_a_storm(routing, outcome)
        await self._tell(client, of_a_storm, routing, outcome, f"{request}#storm", until)
        not_told = {each.incident for each in outcome.failed}
        outcome.suppressed = [each for each in outcome.suppressed if each.held_by not in not_told]
        outcome.suppressed += [_nothing_open(each) for each in outcome.unknown if not _in_a_storm(each, outcome)]
        unrecorded = await self._record(client, outcome.suppressed, request, who, until)
        return AlertsAnswer(
            request=request,
            taken=sum(each.fired + each.cleared for each in outcome.taken),
            incidents=tuple(outcome.taken),
            suppressed=() if unrecorded else tuple(_said(each) for each in outcome.suppressed),
            failed=(*outcome.failed, *unrecorded),
            problems=found.problems,
            ignored=found.ignored,
        )

    async def _placed(self, alerts: Sequence[Alert], routing: Routing, outcome: _Outcome) -> list[Placed]:
        placing = Placing(routing, self._silences.in_force(), self._around.now)
        met: dict[str, Surroundings] = {}
        placed: list[Placed] = []
        for number, alert in enumerate(alerts, start=1):
            if alert.environment not in met:
                met[alert.environment] = self._around.around(alert.environment, routing.incidents.storm.within)
            where = placing.place(alert, met[alert.environment])
            if where.suppressed:
                holding = incident_id(where.ref) if self._asked else ""
                outcome.suppressed.append(where.suppressed.model_copy(update={"held_by": holding}))
            if self._asked or not where.suppressed:
                placed += self._with_umbrella(where, routing)
            if number % _WITHOUT_A_BREAK == 0:
                await asyncio.sleep(0)
                met.clear()  # a look at Temporal may have replaced what they hold
        return placed

    async def hand_over(
        self, client: Client, routing: Routing, placed: Sequence[Placed], request: str
    ) -> tuple[NotTaken, ...]:
        """Tell incidents of alerts that were placed, and said to begin; what could not be told."""
        until = asyncio.get_running_loop().time() + DEADLINE.total_seconds()
        outcome = _Outcome()
        await self._tell(client, placed, routing, outcome, request, until)
        return tuple(outcome.failed)

    def begins(self, placed: Placed) -> None:
        """It is about to fire into its incident, which counts as open from here on unless it is pending."""
        if not placed.begins_pending and not self._around.knows(placed.ref):
            self._around.begins(placed.ref, placed.severity)

    def _with_umbrella(self, placed: Placed, routing: Routing) -> tuple[Placed, ...]:
        """What cleared may have fired into a storm's incident, which cannot end otherwise. Where none is known to be
        open, only that is told to it which no other incident knows: a storm may have begun elsewhere a second ago.
        """
        alert = placed.alert
        if alert.status is AlertStatus.FIRED:
            self.begins(placed)
        elif placed.ref != (storm := umbrella(alert.environment)) and self._around.may_be_open(storm):
            return placed, in_storm(placed, routing.incidents)
        return (placed,)

    def _perhaps_of_a_storm(self, routing: Routing, outcome: _Outcome) -> list[Placed]:
        return [
            in_storm(Placed(alert, umbrella(alert.environment), Severity.SEV4), routing.incidents)
            for alert in outcome.unknown
            if alert.environment not in outcome.umbrellas
        ]

    async def _tell(
        self,
        client: Client | None,
        placed: Iterable[Placed],
        routing: Routing,
        outcome: _Outcome,
        request: str,
        until: float,
    ) -> None:
        of_each: dict[IncidentRef, list[ToSend]] = {}
        together = 0
        for part in by_incident(placed, routing.incidents, request, self._asked):
            of_each.setdefault(part.request.ref, []).append(part)
            together += len(part.alerts)
            if together >= _WITHOUT_A_BREAK:
                together = 0
                await asyncio.sleep(0)
        await asyncio.gather(*(self._send_in_order(client, each, outcome, until) for each in of_each.values()))

    async def _send_in_order(
        self, client: Client | None, parts: Sequence[ToSend], outcome: _Outcome, until: float
    ) -> None:
        """All that one incident is told. Of what follows a part that failed nothing is sent: when all of it is sent
        again, what was heard already is left out, and would stand before what it came after.
        """
        for number, part in enumerate(parts):
            why = await self._send(client, part, outcome, until)
            if why:
                if number == 0 and part.fired:
                    self._around.did_not_begin(part.request.ref)
                outcome.failed += [
                    NotTaken(incident=incident_id(left.request.ref), alerts=len(left.alerts), why=why)
                    for left in parts[number:]
                ]
                return

    async def _send(self, client: Client | None, part: ToSend, outcome: _Outcome, until: float) -> str:
        """Why it was not taken; empty where it was."""
        if client is None:
            return "Temporal is not reached"
        try:
            async with asyncio.timeout_at(until):
                await self._deliver(client, part, outcome)
        except TimeoutError:
            return NO_ANSWER
        except RPCError as error:
            return NO_ANSWER if error.status in _NO_ANSWER else f"Temporal did not take it: {error.message[:300]}"
        return ""

    async def _deliver(self, client: Client, part: ToSend, outcome: _Outcome) -> None:
        """Raises RPCError."""
        ref = part.request.ref
        storm = umbrella(ref.environment)
        fired = cleared = 0
        if part.fired:
            await self._mailboxes.send(Letter(client, part.request, part.fired, IncidentSignal.FIRED))
            fired = len(part.fired.alerts)
        if part.held:
            await self._mailboxes.send(Letter(client, part.request, part.held, IncidentSignal.HELD))
        if part.cleared:
            there = await self._mailboxes.send(Letter(client, part.request, part.cleared, IncidentSignal.CLEARED))
            cleared = len(part.cleared.alerts) if there else 0
            if ref == storm:
                outcome.umbrellas[ref.environment] = there
            elif not there:
                outcome.unknown += [alert for alert in part.alerts if alert.status is AlertStatus.CLEARED]
        if fired or cleared:
            outcome.taken.append(TakenBy(incident=incident_id(ref), fired=fired, cleared=cleared))

    async def _record(
        self, client: Client | None, suppressed: list[Suppressed], request: str, who: str, until: float
    ) -> tuple[NotTaken, ...]:
        """What could not be recorded, which is to be sent again like what was not taken."""
        if not suppressed:
            return ()
        why = "Temporal is not reached"
        if client is not None:
            now = self._around.now
            entries = [
                AuditEntry(
                    # Sent again, the alert may stand elsewhere in the list, and open nothing for another reason.
                    key=f"{request}/{each.alert.dedupe_key}/{each.alert.status}/{each.by}",
                    at=now,
                    who=who,
                    what=f"alert {each.alert.status}",
                    ref=ServiceRef(environment=each.alert.environment, service=each.alert.service),
                    from_where=f"{self._here}@{socket.gethostname()}",
                    outcome="suppressed",
                    why=each.why[:500],
                    note=each.alert.title,
                )
                for each in suppressed
            ]
            try:
                async with asyncio.timeout_at(until):
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


def _in_a_storm(alert: Alert, outcome: _Outcome) -> bool:
    """Whether the umbrella incident took it, or is to be told once more, as the request failed."""
    return outcome.umbrellas.get(alert.environment, bool(outcome.failed))


def _said(each: Suppressed) -> OpensNothing:
    return OpensNothing(
        title=each.alert.title, by=each.by, why=each.why, key=each.alert.dedupe_key, held_by=each.held_by
    )
