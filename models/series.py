"""What a query finds."""

from pydantic import Field

from models.base import Payload


class FoundSeries(Payload):
    """One series and its newest value, which may be NaN."""

    labels: dict[str, str] = Field(default_factory=dict)
    value: float
