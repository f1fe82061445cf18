"""The roles that the outside world plays. Every adapter of a role passes the role's shared tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import SecretStr

from models.deployment import DeploySpec, Instance
from models.ids import ServiceRef, Version
from models.judgement import MetricSnapshot, MetricsSpec
from models.traffic import Backend, TrafficSpec, TrafficSplit

Progress = Callable[[str], None]
"""Told in a few words what a long call is doing."""

SecretResolver = Callable[[str], SecretStr]
"""Fills `${env:NAME}` and `${file:/path}` in a text.

Raises SecretUnavailableError when one cannot be had; an adapter says it on as its ProviderError, not retryable.
"""


class Deployer(Protocol):
    """Runs versions of services as instances. Every method may be repeated without further effect.

    All raise ProviderError.
    """

    async def instances(self, ref: ServiceRef, spec: DeploySpec) -> tuple[Instance, ...]:
        """Every live instance of the service, of whichever version. With fewer, a version loses those listed last."""
        ...

    async def start(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress
    ) -> tuple[Instance, ...]:
        """Bring `spec.instances` instances of the version up, adopting those that run; return when all are ready.

        Raises NotReadyError when one does not become ready in time; what was started is then left for `stop`.
        """
        ...

    async def scale(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, instances: int, progress: Progress
    ) -> tuple[Instance, ...]:
        """Bring a version to this many instances, run as they were last started; by `spec` where that is not known.

        Otherwise like `start`.
        """
        ...

    async def stop(self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress) -> None:
        """Let every instance of the version finish its requests, then end it; kill it when it takes too long."""
        ...


class TrafficRouter(Protocol):
    """Splits a service's traffic between versions. Every method may be repeated without further effect.

    All raise ProviderError.
    """

    async def current(self, ref: ServiceRef, spec: TrafficSpec) -> TrafficSplit | None:
        """The split last asked for, or None when the service is not routed; proves that the router answers."""
        ...

    async def apply(self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]) -> None:
        """Put the split in force; return once the router itself reports these weights."""
        ...

    async def remove(self, ref: ServiceRef, spec: TrafficSpec) -> None:
        """Stop routing the service; return once the router itself no longer reports it."""
        ...


class MetricSource(Protocol):
    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Version]) -> MetricSnapshot:
        """Cumulative counters per version. Counters may begin anew at any time. Raises ProviderError."""
        ...
