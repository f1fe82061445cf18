"""When a version counts as crashing: how many of its instances may end by themselves, and which have."""

from datetime import timedelta

from pydantic import Field, model_validator

from models.base import Payload, Written
from models.mistakes import MistakeError
from models.quantities import Duration


class CrashLoopSpec(Written):
    """Instances that end by themselves, or begin anew, take their version back: that needs no statistics."""

    at_most: int = Field(default=2, ge=0, description="how many of its instances may end within the window")
    window: Duration = Field(default=timedelta(minutes=10), description="how far back they are counted")

    @model_validator(mode="after")
    def _looks_back(self) -> "CrashLoopSpec":
        if self.window <= timedelta():
            raise MistakeError("window must be above 0s", at=("window",), allowed="above 0s")
        return self


class Crashes(Payload):
    """What a watch knows of instances, each named with its start: one that begins anew is another."""

    candidate: tuple[str, ...] = Field(default=(), description="those that lived when last looked")
    stable: tuple[str, ...] = Field(default=(), description="the same of the version beside it")
    ended: tuple[Duration, ...] = Field(
        default=(), description="when instances of the candidate ended, in time since the watch began"
    )
