"""A service's guard: who may touch the service now, who is refused and why."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.base import Payload, Written
from models.freezes import FreezeSpec, FreezeWindow
from models.ids import ServiceRef, Version
from models.quantities import Duration


class RestartBudget(Written):
    """How often automatic remediation may act on a service before people must look."""

    limit: int = Field(default=5, ge=0, le=100, description="remediations within the window; 0 for none at all")
    window: Duration = timedelta(hours=1)


class GuardSpec(Written):
    """What the guard of a service allows."""

    cooldown: Duration = Field(
        default=timedelta(minutes=10),
        description="how long after a rollback the version taken back, remediation, chaos and scaling are refused",
    )
    restarts: RestartBudget = Field(default_factory=RestartBudget)


class GuardRules(Payload):
    """What a guard needs of the catalog; it comes with each request, so the newest catalog's words count."""

    spec: GuardSpec = Field(default_factory=GuardSpec)
    freezes: tuple[FreezeSpec, ...] = Field(default=(), description="those that concern the service")


class LeaseKind(StrEnum):
    ROLLOUT = "rollout"
    REMEDIATION = "remediation"
    CHAOS = "chaos"
    SCALING = "scaling"


class LeaseOutcome(StrEnum):
    """How what the lease was for has ended. A rollout's outcomes have the names of its final phases."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    UNCHANGED = "unchanged"
    DONE = "done"
    FAILED = "failed"


class Holder(Payload):
    """The workflow that asks. `run_id` is the first of its chain of runs, so it stays when it continues as new."""

    workflow_id: str
    run_id: str


class HolderRuns(Payload):
    """Whether a holder's workflow still runs."""

    runs: bool


class Acquire(Payload):
    """Ask for a lease. The same holder asking again for the same kind gets the same grant."""

    ref: ServiceRef
    kind: LeaseKind
    holder: Holder
    requested_by: str
    version: Version | None = Field(default=None, description="what is rolled out")
    going_back: bool = Field(default=False, description="a rollout back to an earlier version")
    emergency: str = Field(default="", description="a person's reason to go on in spite of a freeze or a cooldown")
    rules: GuardRules = GuardRules()
    windows: tuple[FreezeWindow, ...] = Field(
        default=(),
        description="the freezes' windows around now; filled in on the way, so that the guard needs no clock",
    )


class Release(Payload):
    """Give a lease back. Giving back what is not held is fine, and changes nothing."""

    ref: ServiceRef
    kind: LeaseKind
    holder: Holder
    outcome: LeaseOutcome
    version: Version | None = Field(default=None, description="what was rolled out; else the lease's")


class Lease(Payload):
    """What a holder may do now. `cooldown` begins should it end rolled back."""

    kind: LeaseKind
    holder: Holder
    since: datetime
    requested_by: str
    version: Version | None = None
    emergency: str = ""
    cooldown: Duration = timedelta(0)


class Grant(Payload):
    answer: Literal["grant"] = "grant"
    lease: Lease


class Refusal(Payload):
    """`why` is a sentence for people. `until` is when to ask again; None where nobody knows."""

    answer: Literal["refusal"] = "refusal"
    why: str
    until: datetime | None = None


Answer = Annotated[Grant | Refusal, Field(discriminator="answer")]


class Freeze(Payload):
    """A person's order to roll nothing out. Without `until` it lasts until `Unfreeze`; a later one takes its place."""

    by: str
    note: str = ""
    from_where: str = Field(default="", description="front door and host, like command@laptop")
    until: datetime | None = None


class Unfreeze(Payload):
    """Ends a `Freeze`; not a freeze of the catalog."""

    by: str
    note: str = ""
    from_where: str = Field(default="", description="front door and host, like command@laptop")


class Cooldown(Payload):
    """A version that was taken back, and until when the service is left in peace because of it."""

    version: Version | None
    until: datetime


class Decision(Payload):
    """What the guard did last, and for whom. `asked` is the id of the message, known when that comes twice."""

    asked: str
    at: datetime
    text: str
    answer: Answer | None = None


class GuardState(Payload):
    """All that a guard knows: what a query returns, and what it carries from one run to its next."""

    ref: ServiceRef
    leases: tuple[Lease, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    restarts: tuple[datetime, ...] = Field(default=(), description="when the restart budget was spent, latest last")
    freeze: Freeze | None = None
    decisions: tuple[Decision, ...] = Field(default=(), description="the latest last")
    releases: tuple[str, ...] = Field(default=(), description="ids of the messages that gave back, the latest last")
    updates_per_run: int = Field(default=1500, description="then it continues as new; Temporal allows 2,000")
