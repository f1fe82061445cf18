"""Whether something still keeps alerts from opening the incidents that hold them, which the front door knows."""

from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import OpenIncidents
from analysis.incident_list import key_of
from analysis.placing import Placing, Routing, hold_by
from models.alert import Alert, Normalised
from models.held import Hold, LookAgain, LookedAgain
from models.ids import incident_id


class HeldAlerts:
    """Places held alerts anew, by the catalog and what else counts now."""

    def __init__(
        self,
        routing: Callable[[], Routing],
        around: OpenIncidents,
        silences: KnownSilences,
        intake: Intake,
        client: Callable[[], Client] = activity.client,
    ) -> None:
        self._routing, self._around, self._silences, self._intake = routing, around, silences, intake
        self._client = client

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.look_again]

    @activity.defn(name="alerts.look_again")
    async def look_again(self, asked: LookAgain) -> LookedAgain:
        """What belongs to another incident by now is told to that one; asked again, it is not counted twice."""
        if not (self._silences.known and self._around.known):
            # To open what somebody silenced only because nobody could look would be worse than to be asked again.
            raise ApplicationError("silences and open incidents could not be read lately", type="NotKnown")
        routing = self._routing()
        placing = Placing(routing, self._silences.in_force(), self._around.now)
        free: list[str] = []
        held: dict[str, Hold] = {}
        moved: dict[str, Alert] = {}
        elsewhere: dict[str, str] = {}
        for alert in asked.alerts:
            surroundings = self._around.around(alert.environment, routing.incidents.storm.within)
            placed = placing.place(alert, surroundings)
            if placed.suppressed:
                held[key_of(alert)] = hold_by(placed.suppressed)
            elif placed.ref != asked.incident:
                moved[key_of(alert)], elsewhere[key_of(alert)] = alert, incident_id(placed.ref)
            else:
                free.append(key_of(alert))
                self._intake.begins(placed)
        if moved:
            await self._send(routing, asked, tuple(moved.values()))
        return LookedAgain(free=tuple(free), held=held, elsewhere=elsewhere)

    async def _send(self, routing: Routing, asked: LookAgain, alerts: tuple[Alert, ...]) -> None:
        answer = await self._intake.take(
            self._client(),
            routing,
            Normalised(alerts=alerts),
            request=asked.request,
            who=f"incident {asked.incident}"[:200],
        )
        if answer.failed:
            raise ApplicationError("; ".join(dict.fromkeys(each.why for each in answer.failed)), type="NotTaken")
