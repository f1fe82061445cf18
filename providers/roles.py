"""The roles that the outside world plays. Every adapter of a role passes the role's shared tests."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from models.alert_rules import PrometheusAddress
from models.counters import CounterPoint, MetricSnapshot
from models.deployment import DeploySpec, Instance
from models.fence import Fence
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.keeper import LeaseKey, LeaseStanding
from models.keeper_ledger import Lease
from models.notification import Notification
from models.series import FoundSeries
from models.traffic import Backend, TrafficSpec, TrafficSplit

Progress = Callable[[str], None]
"""Told in a few words what a long call is doing."""

SecretResolver = Callable[[str], SecretStr]
"""Fills `${env:NAME}` and `${file:/path}` in a text.

Raises SecretUnavailableError when one cannot be had; an adapter says it on as its ProviderError, not retryable.
"""


class Deployer(Protocol):
    """Runs versions of services as instances. Every method may be repeated without further effect.

    A baseline's instances are a group of their own, told apart from the other ones of the version that they run.

    All raise ProviderError; those that take a fence raise StaleOrderError when a later step has been here already.
    """

    async def instances(self, ref: ServiceRef, spec: DeploySpec) -> tuple[Instance, ...]:
        """Every live instance of the service, of whichever version. With fewer, a version loses those listed last."""
        ...

    async def start(
        self, ref: ServiceRef, version: Version, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> tuple[Instance, ...]:
        """Bring `spec.instances` instances of the version up, adopting those that run; return when all are ready.

        Raises NotReadyError when one does not become ready in time; what was started is then left for `stop`.
        """
        ...

    async def scale(
        self,
        ref: ServiceRef,
        version: Group,
        spec: DeploySpec,
        instances: int,
        progress: Progress,
        fence: Fence | None = None,
    ) -> tuple[Instance, ...]:
        """Bring a version to this many instances, run as they were last started; by `spec` where that is not known.

        A baseline's are run as its version's were. Otherwise like `start`.
        """
        ...

    async def stop(
        self, ref: ServiceRef, version: Group, spec: DeploySpec, progress: Progress, fence: Fence | None = None
    ) -> None:
        """Let every instance of the version finish its requests, then end it; kill it when it takes too long."""
        ...


class TrafficRouter(Protocol):
    """Splits a service's traffic between versions. Every method may be repeated without further effect.

    All raise ProviderError.
    """

    async def current(self, ref: ServiceRef, spec: TrafficSpec) -> TrafficSplit | None:
        """The split last asked for, or None when the service is not routed; proves that the router answers."""
        ...

    async def apply(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,
        split: TrafficSplit,
        backends: Sequence[Backend],
        fence: Fence | None = None,
    ) -> None:
        """Put the split in force; return once the router itself reports these weights.

        Raises StaleOrderError when a later step, by its fence, has been here already.
        """
        ...

    async def give_back(
        self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]
    ) -> None:
        """As `apply`, for a split written down long before: a version that the router knows keeps the addresses by
        which it knows it, as they may be newer than `backends`.
        """
        ...

    async def remove(self, ref: ServiceRef, spec: TrafficSpec) -> None:
        """Stop routing the service; return once the router itself no longer reports it."""
        ...


class MetricSource(Protocol):
    async def snapshot(self, ref: ServiceRef, spec: MetricsSpec, versions: Sequence[Group]) -> MetricSnapshot:
        """Cumulative counters per version. Counters may begin anew at any time. Raises ProviderError.

        A source that counts per instance fills `parts`, so that one instance's new beginning is told from the others.
        """
        ...

    async def measure(self, ref: ServiceRef, spec: MetricsSpec, query: str, version: Version) -> float | None:
        """What one query says of a version now; None when it says nothing. Raises ProviderError."""
        ...


class SeriesSource(Protocol):
    async def series(self, address: PrometheusAddress, query: str) -> tuple[FoundSeries, ...]:
        """Every series that a query finds now, with its newest value. Raises ProviderError."""
        ...


class MetricHistory(Protocol):
    async def instances(
        self, ref: ServiceRef, spec: MetricsSpec, version: Version, begins: datetime, ends: datetime, progress: Progress
    ) -> Mapping[str, Sequence[CounterPoint]]:
        """The counters of each instance of a version, a minute apart, in order; empty where none was there.

        Raises ProviderError, also where the source does not tell instances apart.
        """
        ...


class LeaseKeeper(Protocol):
    """Undoes by itself what nobody renews. Every method may be repeated without further effect.

    All raise ProviderError; what was written before stays as it was then.
    """

    async def arm(self, lease: Lease, *, take_over: bool = False) -> LeaseStanding:
        """From now on the lease is renewed in time or its undo carried out. To be done before the effect.

        HELD; or CARRIED_OUT when this epoch lapsed already: arm a later one. Refused, as a ProviderError: an epoch that
        is past or settled, a run that another took over from, and a key that another workflow holds, unless with
        `take_over`. A later run of the same workflow takes over by itself. While there is no keeper it is refused, too.
        """
        ...

    async def renew(self, lease: LeaseKey) -> LeaseStanding:
        """Put the deadline off by the lease's duration. Only HELD means that it was."""
        ...

    async def settle(self, lease: LeaseKey) -> LeaseStanding:
        """Nothing is undone any more, and nothing kept undone. Says CARRIED_OUT if it had been, else GONE."""
        ...


class Notifier(Protocol):
    async def notify(self, notification: Notification) -> None:
        """Bring one message to its target; done again with the same key, it is the same message.

        Raises ProviderError.
        """
        ...


class Inbox(Protocol):
    """Where messages wait until somebody reads them."""

    async def put(self, notification: Notification, at: datetime) -> None:
        """Keep a message under its key; one that is there stays as it is."""
        ...
