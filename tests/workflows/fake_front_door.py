"""A front door that is told what still keeps alerts from opening their incidents."""

import asyncio
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from analysis.incident_list import key_of
from models.held import Hold, LookAgain, LookedAgain

QUEUE = "front-door/local"


class FakeFrontDoor:
    """`keeps` and `moved` are titles of alerts; nothing keeps the others. It does not know while it is `unsure`, and
    does not answer while it is `hanging`.
    """

    def __init__(self) -> None:
        self.keeps: set[str] = set()
        self.until: datetime | None = None
        self.moved: set[str] = set()
        self.unsure = self.hanging = False
        self.asked: list[LookAgain] = []

    @activity.defn(name="alerts.look_again")
    async def look_again(self, asked: LookAgain) -> LookedAgain:
        self.asked.append(asked)
        while self.hanging:
            await asyncio.sleep(0.05)
        if self.unsure:
            raise ApplicationError("silences could not be read lately", type="NotKnown")
        keys = {key_of(alert): alert.title for alert in asked.alerts}
        hold = Hold(why="the silence move is in force", until=self.until)
        return LookedAgain(
            free=tuple(key for key, title in keys.items() if title not in self.keeps | self.moved),
            held={key: hold for key, title in keys.items() if title in self.keeps},
            elsewhere={key: "incident/local/shop/other" for key, title in keys.items() if title in self.moved},
        )
