"""The record a running local stack leaves in its home folder, so that other commands find it."""

from datetime import datetime

from pydantic import Field

from models.base import Payload
from models.quantities import HostPort


class StackRecord(Payload):
    """Written by `holdfast up` once everything serves, removed when it has stopped.

    `pid` and `process_started` (seconds, by a clock that nobody sets) together name the process: a pid alone may have
    been reused.
    """

    pid: int
    process_started: float
    started_at: datetime
    temporal: HostPort
    ui: HostPort
    envoy_admin: HostPort
    gateway: HostPort | None = None
    keeper_health: HostPort | None = None
    worker_health: dict[str, HostPort] = Field(default_factory=dict)
    worker_metrics: dict[str, HostPort] = Field(default_factory=dict)
