"""Requests, errors and latency per version, as Envoy counts them for the version's cluster.

https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from models.counters import Counters, MetricSnapshot
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.quantities import HostPort
from providers.envoy_admin import EnvoyAdmin, not_envoy
from providers.envoy_names import stat_name
from providers.envoy_statistics import EnvoyStatistics
from providers.errors import ProviderError
from providers.shared_reads import SharedReads

_STATISTICS = "upstream_rq_completed|upstream_rq_5xx|upstream_rq_time|membership_total"
_OURS = "[^.]+__[^.]+"
_PAUSE, _LONGEST_PAUSE, _SHARE = timedelta(milliseconds=50), timedelta(milliseconds=500), 0.2
"""Between two reads, so that a worker with hundreds of watches gathers them into a few: the longer the more there is
to read, as all watches together need no more than one read in each of their intervals."""
_MOST_NAMED = 100
"""Clusters in one question; who needs more is given all of ours, as the question's length is limited."""


class _Read(NamedTuple):
    taken_at: datetime
    clusters: dict[str, Counters]


class EnvoyMetrics:
    """A MetricSource.

    A request counts once it is over: answered, or answered by Envoy because the version did not (no connection,
    reset, timeout). The latter are 5xx, and so are errors. A caller that goes away before the answer is not counted.
    Latency is that of answers the version gave, and Envoy adds it up to 0.5 s later than the counts.
    """

    def __init__(self, admin: HostPort) -> None:
        self._address = admin
        self._admin = EnvoyAdmin(admin)
        self._reads = SharedReads(self._read, pause=_PAUSE, longest=_LONGEST_PAUSE, share=_SHARE)
        self._statistics = EnvoyStatistics()

    async def aclose(self) -> None:
        await self._admin.aclose()

    async def snapshot(
        self,
        ref: ServiceRef,
        spec: MetricsSpec,  # noqa: ARG002 - the role's signature; there is nothing to choose
        versions: Sequence[Group],
    ) -> MetricSnapshot:
        names = {stat_name(ref, version): version for version in versions}
        if not names:
            return MetricSnapshot(taken_at=datetime.now(UTC))
        read = await self._reads.get(names)
        return MetricSnapshot(
            taken_at=read.taken_at,
            versions={version: read.clusters[name] for name, version in names.items() if name in read.clusters},
        )

    async def _read(self, names: AbstractSet[str]) -> _Read:
        taken_at = datetime.now(UTC)
        asked = "|".join(sorted(names)) if len(names) <= _MOST_NAMED else _OURS
        text = await self._admin.prometheus(rf"^cluster\.({asked})\.({_STATISTICS})$")
        try:
            return _Read(taken_at, self._statistics.parsed(text, names))
        except ValueError as error:
            raise not_envoy(self._address, str(error)) from error

    async def measure(
        self,
        ref: ServiceRef,
        spec: MetricsSpec,  # noqa: ARG002 - the role's signature
        query: str,
        version: Version,
    ) -> float | None:
        raise ProviderError(
            f"Envoy has no query language, so {query[:100]!r} cannot be asked of {ref} {version}; "
            "give the service metrics of the provider prometheus or http.",
            retryable=False,
        )
