"""A front door that is told what still keeps alerts from opening their incidents."""

import asyncio
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from models.held import HeldNow, LookAgain, LookedAgain, Placement
from models.ids import incident_id
from models.temporal_names import HELD_QUERY
from tests.analysis.incident_factories import SILENCED


class FakeFrontDoor:
    """`keeps` and `moved` are titles of alerts; nothing keeps the others. It does not know while it is `unsure`, and
    once it has learnt what an incident holds does not answer while it is `hanging`.
    """

    def __init__(self) -> None:
        self.keeps: set[str] = set()
        self.until: datetime | None = None
        self.moved: set[str] = set()
        self.unsure = self.hanging = False
        self.asked: list[LookAgain] = []

    @activity.defn(name="alerts.look_again")
    async def look_again(self, asked: LookAgain) -> LookedAgain:
        held = await _held_by(asked)
        self.asked.append(asked)
        while self.hanging:
            await asyncio.sleep(0.05)
        if self.unsure:
            raise ApplicationError("silences could not be read lately", type="NotKnown")
        hold = SILENCED.model_copy(update={"until": self.until})
        return LookedAgain(
            placements={
                key: Placement(
                    before=each.hold,
                    hold=hold if each.alert.title in self.keeps else None,
                    moved_to="incident/local/shop/other" if each.alert.title in self.moved else "",
                    severity=each.severity,
                )
                for key, each in held.alerts.items()
            }
        )


async def _held_by(asked: LookAgain) -> HeldNow:
    """Asked again when no answer comes: the test server loses a query that meets a change of the workflow."""
    handle = activity.client().get_workflow_handle(incident_id(asked.incident))
    while True:
        try:
            found: HeldNow = await handle.query(HELD_QUERY, result_type=HeldNow, rpc_timeout=timedelta(seconds=3))
        except RPCError:
            await asyncio.sleep(0.1)
        else:
            return found
