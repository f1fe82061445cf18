"""Equals: groups of one version beside each other, none of them worse. What they taught, and how they are judged."""

from pydantic import Field

from models.base import Payload
from models.judge_spec import NoiseSpec


class EqualsRate(Payload):
    """How many watches of equals ended with one of them rolled back, each a mistake. Shares are of watches."""

    rolled_back: int
    watches: int
    low: float = Field(description="with the next: the ends of Wilson's 95% interval of the share")
    high: float


class EqualsReport(Payload):
    """What equals did, and what the judge makes of it."""

    service: str
    source: str
    periods: tuple[str, ...] = Field(description="which groups were beside which")
    minutes: float
    requests: float
    bad: float
    promised: float = Field(description="the share of equals that may be rolled back, at most")
    noise: NoiseSpec | None = Field(description="what was learnt; None: there was too little to learn from")
    as_set: EqualsRate = Field(description="by the catalog as it stands")
    with_noise: EqualsRate | None = Field(description="by what one half of the time taught, measured on the other")
    doubts: tuple[str, ...] = Field(default=(), description="sentences on what this does not show")
