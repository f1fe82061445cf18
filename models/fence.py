"""Which step of which run asks for an effect."""

from pydantic import Field

from models.base import Payload


class Fence(Payload):
    """`number` rises with every effect that a run asks for."""

    run_id: str
    number: int = Field(ge=1)
