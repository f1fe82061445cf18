"""Silences that people keep beside those of the catalog: what is said to them, and what is kept."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from models.base import Payload, Written
from models.calendar_words import Moment, Weekly, Zone
from models.ids import Name
from models.incident_spec import Matchers, Silence
from models.mistakes import MistakeError
from models.quantities import Duration

MEMO = "silences"
"""Under which Temporal shows what is kept: whoever reads it needs no worker."""

MOST_MATCHERS = 20
MOST_SILENCES = 500
MOST_BYTES = 1_000_000
"""Of all together; Temporal carries 2 MiB."""

ENDED_KEPT = 100
ENDED_KEPT_FOR = timedelta(days=7)
"""What has ended is shown for a while, to those who ask what was silent last night."""

Who = Annotated[str, StringConstraints(max_length=200)]
Reason = Annotated[str, StringConstraints(max_length=1_000)]


class Standing(StrEnum):
    ACTIVE = "active"
    PENDING = "pending"
    ENDED = "ended"


class SilenceWords(Written):
    """A silence as a person asks for it: `for` a time, `until` one, or a part of `every` week."""

    model_config = ConfigDict(validate_by_name=True)

    match: Matchers = Field(min_length=1, max_length=MOST_MATCHERS, description="matchers that all must hold")
    from_: Moment | None = Field(default=None, alias="from", description="when it begins; now without")
    lasting: Duration | None = Field(default=None, alias="for", description="how long it lasts")
    until: Moment | None = Field(default=None, description="when it ends")
    every: Weekly | None = Field(default=None, description="a maintenance window, until somebody ends it")
    zone: Zone = Field(default="UTC", description="whose clock the times are read from")
    reason: Reason = Field(default="", description="why")

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> Self:
        if sum(end is not None for end in (self.lasting, self.until, self.every)) != 1:
            raise MistakeError("a silence needs one of for, until and every")
        if self.every is not None and self.from_ is not None:
            raise MistakeError("a maintenance window, with every, has no from", at=("from",))
        return self


class KeptSilence(Payload):
    """One silence. Its name in `spec` is its id."""

    spec: Silence
    by: Who
    from_where: Who = Field(default="", description="front door and host, like command@laptop")
    created_at: datetime
    expired_at: datetime | None = Field(default=None, description="when somebody ended it before its time")
    expired_by: Who = ""

    @property
    def id(self) -> str:
        return self.spec.name


class AddSilence(Payload):
    """Keep this. The same one again is kept once."""

    spec: Silence
    by: Who
    from_where: Who = ""


class ExpireSilence(Payload):
    """End a silence now. One that has ended stays as it is."""

    id: Name
    by: Who
    note: Reason = ""
    from_where: Who = ""


class SilenceBoard(Payload):
    """What can be read of all that is kept, in the order in which it was added."""

    silences: tuple[KeptSilence, ...] = ()


class SilencesState(SilenceBoard):
    """All that the silences of an environment know, and carry from one run to the next."""

    environment: Name
    updates_per_run: int = Field(default=1_500, description="then it continues as new; Temporal allows 2,000")


class SilenceShown(Payload):
    """A silence as lists show it; one of the catalog is changed there."""

    id: str
    standing: Standing
    match: tuple[str, ...]
    begins: datetime | None = Field(default=None, description="of a weekly one: the window that is next, or now")
    ends: datetime | None = None
    every: str | None = None
    zone: str = "UTC"
    reason: str = ""
    by: str
    created_at: datetime | None = None
    expired_by: str = ""
    kept: str = Field(default="by hand", description="by hand, or in the catalog")
