"""Who ordered what, and what became of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from models.base import Payload
from models.ids import ServiceRef, Version


class Verb(StrEnum):
    """What people order. A newer peer may know more, so an entry carries plain text."""

    DEPLOY = "deploy"
    PROMOTE = "promote"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    SILENCE = "silence"
    EXPIRE = "expire silence"


ACCEPTED = "accepted"
REFUSED = "refused"


class AuditEntry(Payload):
    """One order and what became of it; never changed once it is written, so a later outcome is an entry of its own.

    `key` names the entry for good, that it may be sent again: the run id and a number for what a workflow heard, a
    uuid for what was refused before one did.
    """

    key: str
    at: datetime
    who: str
    what: str
    ref: ServiceRef
    version: Version | None = None
    from_where: str = Field(default="", description="front door and host, like command@laptop")
    outcome: str = Field(default=ACCEPTED, description="accepted, refused, or a phase in which it ended")
    why: str = Field(default="", description="why it was refused, or ended so")
    note: str = Field(default="", description="what the person added")
