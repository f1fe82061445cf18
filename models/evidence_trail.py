"""What a watch saw and made of it over time: what the picture of a rollout is drawn from."""

from datetime import datetime

from pydantic import Field

from models.base import Payload
from models.evidence import MetricEvidence
from models.ids import Group, Version
from models.quantities import Percent


class RolloutKey(Payload):
    """One run of a rollout workflow, as its record is named, too."""

    workflow_id: str
    run_id: str


class VersionSample(Payload):
    """What one version answered since the sample before. None: nothing is known."""

    requests: int | None = None
    bad: int | None = None
    p95_ms: float | None = None


class TrailSample(Payload):
    """One moment of a watch. Samples are a second apart at first, then ever further."""

    at: datetime
    seconds: float = Field(description="time since the sample before, or since the watch began")
    weight: Percent
    candidate: Version
    stable: Group | None = Field(description="what the candidate was compared with")
    of_candidate: VersionSample = VersionSample()
    of_stable: VersionSample = VersionSample()
    evidence: tuple[MetricEvidence, ...] = ()
    problem: str | None = Field(default=None, description="why nothing could be read")
