"""A rollout: what is asked, the steps it takes, what is said to it, how it ended."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.base import Payload
from models.catalog import Service
from models.deployment import Instance
from models.guard import GuardRules
from models.ids import Group, ServiceRef, Version
from models.judgement import Verdict
from models.quantities import Duration, Percent


class RolloutRequest(Payload):
    """Everything a rollout needs; a later edit of the catalog does not change a rollout under way.

    `id` is given by who asks, so that it is known again when it had to wait for its turn.
    """

    id: str = ""
    ref: ServiceRef
    version: Version
    spec: Service
    requested_by: str
    reason: str = ""
    from_where: str = Field(default="", description="front door and host, like command@laptop")
    guard: GuardRules = GuardRules()
    emergency: str = Field(default="", description="a person's reason to go on in spite of a freeze or a cooldown")
    automatic: bool = Field(
        default=False, description="nobody waits for it, so it is patient with what does not answer"
    )
    at_once: bool = Field(default=False, description="all traffic as soon as it is ready, without the catalog's steps")


class DeployStep(Payload):
    """Start the candidate's instances, all or up to so many, and wait until all are ready."""

    kind: Literal["deploy"] = "deploy"
    instances: int | None = None


class StartBaseline(Payload):
    """Start as many fresh instances of the stable version as the candidate has, for it to be compared with."""

    kind: Literal["start_baseline"] = "start_baseline"


class SetWeight(Payload):
    kind: Literal["set_weight"] = "set_weight"
    weight: Percent


class Bake(Payload):
    """Let the candidate serve and be judged for this long."""

    kind: Literal["bake"] = "bake"
    duration: Duration
    proof: bool = Field(default=False, description="it ends well only once the candidate is shown to be good enough")


class Gate(Payload):
    """Wait until a person approves."""

    kind: Literal["gate"] = "gate"


class ScaleDown(Payload):
    """Leave so many of the stable version's instances; the others get no traffic any more, then end."""

    kind: Literal["scale_down"] = "scale_down"
    instances: int


class Promote(Payload):
    """The candidate becomes the stable version and receives all traffic. From here on nothing is undone."""

    kind: Literal["promote"] = "promote"


class Keep(Payload):
    """Leave the version that was stable before running for this long, for a quick way back."""

    kind: Literal["keep"] = "keep"
    duration: Duration


class Retire(Payload):
    """Stop the instances of the version that was stable before, or only those of its baseline."""

    kind: Literal["retire"] = "retire"
    baseline: bool = False


Step = Annotated[
    DeployStep | StartBaseline | SetWeight | Bake | Gate | ScaleDown | Promote | Keep | Retire,
    Field(discriminator="kind"),
]


class Phase(StrEnum):
    PREPARING = "preparing"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    AWAITING_APPROVAL = "awaiting_approval"
    PROMOTING = "promoting"
    KEEPING = "keeping"
    ROLLING_BACK = "rolling_back"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    UNCHANGED = "unchanged"

    @property
    def final(self) -> bool:
        return self in {Phase.PROMOTED, Phase.ROLLED_BACK, Phase.FAILED, Phase.UNCHANGED}

    @property
    def passing(self) -> bool:
        """Gone in a moment, so that showing it is not worth an event: whoever searches finds the phase before it."""
        return self is Phase.PROMOTING

    @property
    def settled(self) -> bool:
        """Who serves is decided and done, though the old version's instances may be kept for a while."""
        return self.final or self is Phase.KEEPING


class StepStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class StepState(Payload):
    step: Step
    status: StepStatus = StepStatus.PENDING
    started_at: datetime | None = None
    ended_at: datetime | None = None


class TimelineEntry(Payload):
    at: datetime
    text: str


class Waiting(Payload):
    """The rollout that begins when the one under way has ended."""

    request_id: str
    version: Version
    requested_by: str


class RolloutState(Payload):
    """What a query returns: the whole of what a person wants to know about a rollout under way or ended."""

    ref: ServiceRef
    version: Version
    strategy: str
    requested_by: str
    request_id: str = ""
    size: int = Field(default=1, description="how many instances of a version run")
    phase: Phase = Phase.PREPARING
    stable: Version | None = None
    baseline: Group | None = Field(default=None, description="fresh instances of `stable` that it is compared with")
    weight: Percent = 0.0
    steps: tuple[StepState, ...] = ()
    instances: tuple[Instance, ...] = ()
    verdict: Verdict | None = None
    reason: str = ""
    question: str | None = Field(default=None, description="what a person is asked, while a rollout waits for one")
    timeline: tuple[TimelineEntry, ...] = ()
    next: Waiting | None = None
    exposed_at: datetime | None = None
    decided_at: datetime | None = None
    off_at: datetime | None = None


class RolloutResult(Payload):
    """How a rollout ended. Times are None when the candidate never received traffic."""

    ref: ServiceRef
    version: Version
    outcome: Phase
    reason: str
    stable: Version | None
    verdict: Verdict | None = None
    exposed_at: datetime | None = None
    decided_at: datetime | None = None
    off_at: datetime | None = Field(default=None, description="when the candidate's weight was confirmed to be 0")


class PastRollout(Payload):
    """One line of a service's history. Without an end the rollout is under way, unless it was `cut_off`."""

    version: Version
    strategy: str
    phase: Phase
    started_at: datetime
    ended_at: datetime | None = None
    run_id: str
    cut_off: bool = Field(default=False, description="ended by force; the phase is the last that was seen")


class Instruction(Payload):
    """What a person says to a rollout: `promote`, `abort`, `pause`, `resume`, `approve`."""

    by: str
    note: str = ""
    from_where: str = Field(default="", description="front door and host, like command@laptop")


class Successor(Payload):
    """A newer rollout of the same service: begins when the one under way has ended, or makes it end.

    One waits at a time: a newer one takes the place of another that waits.
    """

    request: RolloutRequest
    supersede: bool = Field(default=False, description="take the version under way back, unless that is decided")


class Acknowledgement(Payload):
    """What was accepted, in a sentence."""

    text: str
