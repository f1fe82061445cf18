"""What state a records database is in."""

from models.base import Payload


class Schema(Payload):
    """The revision a database is at, None for one without our tables, and the one this code wants."""

    found: str | None
    wanted: str
    newer: bool = False

    @property
    def current(self) -> bool:
        return self.found == self.wanted


class RecordsStatus(Schema):
    """What `holdfast records status` shows."""

    database: str
    rollouts: int = 0
    audit: int = 0
