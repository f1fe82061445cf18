"""Whether something still keeps alerts from opening the incidents that hold them, which the front door knows."""

from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import OpenIncidents
from activities.telling import RPC_TIMEOUT
from analysis.placing import Placed, Placing, Routing, hold_by
from models.held import HeldNow, LookAgain, LookedAgain, Placement
from models.ids import incident_id
from models.temporal_names import HELD_QUERY


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
        """Ask the incident what it holds, as this may have waited for long: what has cleared since is not to be told to
        another. What belongs to another is; asked again, it is not counted twice.
        """
        handle = self._client().get_workflow_handle(incident_id(asked.incident))
        held = await handle.query(HELD_QUERY, result_type=HeldNow, rpc_timeout=RPC_TIMEOUT)
        if not (self._silences.known and self._around.listed):
            # To open what somebody silenced only because nobody could look would be worse than to be asked again.
            raise ApplicationError("silences and open incidents could not be read lately", type="NotKnown")
        routing = self._routing()
        placing = Placing(routing, self._silences.in_force(), self._around.now)
        placements: dict[str, Placement] = {}
        moved: list[Placed] = []
        opens = False
        for key, each in held.alerts.items():
            around = self._around.around(each.alert.environment, routing.incidents.storm.within)
            placed = placing.place(each.alert, around)
            moves = placed.ref != asked.incident
            if moves:
                moved.append(placed)
                self._intake.begins(placed)
            opens = opens or not (moves or placed.begins_pending)
            placements[key] = Placement(
                before=each.hold,
                hold=hold_by(placed.suppressed) if placed.suppressed and not moves else None,
                moved_to=incident_id(placed.ref) if moves else "",
                severity=placed.severity,
            )
        if opens:
            # Only the incident knows whether it still holds them, and opens.
            self._around.counts(asked.incident)
        failed = await self._intake.hand_over(self._client(), routing, moved, asked.request) if moved else ()
        if failed:
            raise ApplicationError("; ".join(dict.fromkeys(each.why for each in failed)), type="NotTaken")
        return LookedAgain(placements=placements)
