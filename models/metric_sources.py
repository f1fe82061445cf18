"""Where the figures come from that judge a version, besides Envoy itself."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from models.base import Written
from models.mistakes import MistakeError
from models.quantities import Duration
from models.templates import BaseUrl, JMESPath, PromQL, UrlTemplate


def _a_timeout(value: timedelta) -> timedelta:
    if not timedelta(milliseconds=100) <= value <= timedelta(seconds=30):
        raise MistakeError("a timeout lies between 100ms and 30s", allowed="100ms to 30s")
    return value


_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _a_label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise MistakeError(f"{value!r} is no label of Prometheus", allowed="a label's name, like instance or pod")
    return value


LatencyUnit = Literal["seconds", "milliseconds"]
Token = Annotated[
    str | None,
    Field(description="sent as a bearer token; ${env:NAME} or ${file:/path}, looked up by the worker that reads"),
]
Timeout = Annotated[
    Duration, AfterValidator(_a_timeout), Field(description="how long one answer may take; 100ms to 30s")
]


class PrometheusMetrics(Written):
    """Requests, errors and latency per version as Prometheus, or what speaks like it, has collected them.

    Each query finds counters, never rates; {{service}}, {{version}} and {{env}} are filled in.
    """

    provider: Literal["prometheus"]
    url: BaseUrl = Field(description="where Prometheus answers; /api/v1/query is appended")
    requests: PromQL = Field(description="the counters of a version's requests")
    errors: PromQL = Field(description="the counters of those that failed")
    latency: PromQL | None = Field(default=None, description="the _bucket series of a histogram of response times")
    latency_unit: LatencyUnit = Field(default="seconds", description="what the histogram's le counts in")
    instance_label: Annotated[str, AfterValidator(_a_label)] = Field(
        default="instance", description="the label that tells a version's instances apart; `holdfast judge noise` asks"
    )
    token: Token = None
    timeout: Timeout = timedelta(seconds=3)


class HttpMetrics(Written):
    """Requests, errors and latency per version as a JSON document has them, read once for each version.

    Expressions are JMESPath (https://jmespath.org); {{service}}, {{version}} and {{env}} are filled in.
    """

    provider: Literal["http"]
    url: UrlTemplate = Field(description="where the document of a version is")
    requests: JMESPath = Field(description="finds how many requests the version has answered since it counts")
    errors: JMESPath = Field(description="finds how many of them failed")
    latency_bounds: JMESPath | None = Field(
        default=None, description="finds the upper bounds of a histogram of response times, a rising list"
    )
    latency_counts: JMESPath | None = Field(
        default=None, description="finds its counts: one for each bound, and one more for what was slower"
    )
    latency_unit: LatencyUnit = Field(default="seconds", description="what the bounds count in")
    token: Token = None
    timeout: Timeout = timedelta(seconds=3)

    @model_validator(mode="after")
    def _latency_is_whole(self) -> "HttpMetrics":
        if (self.latency_bounds is None) != (self.latency_counts is None):
            there, missing = ("latency_counts", "latency_bounds")[:: 1 if self.latency_bounds is None else -1]
            raise MistakeError(f"{there} is of no use without {missing}", at=(there,))
        return self
