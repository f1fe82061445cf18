"""Requests, errors and latency per version, as Envoy counts them for the version's cluster.

https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
"""

import math
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from models.counters import Counters, LatencyHistogram, MetricSnapshot
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.quantities import HostPort
from providers.envoy_admin import EnvoyAdmin, not_envoy
from providers.envoy_names import stat_name
from providers.errors import ProviderError
from providers.shared_reads import SharedReads

_STATISTICS = "upstream_rq_total|upstream_rq_completed|upstream_rq_5xx|upstream_rq_time"
# Prometheus' text format, with the labels in the order that Envoy gives them; no value of ours needs escaping.
_LINE = re.compile(
    r'envoy_cluster_(\w+)\{(?:envoy_response_code_class="(\w*)",)?envoy_cluster_name="([^"]*)"'
    r'(?:,le="([^"]*)")?\} (\S+)',
    re.ASCII,
)
_OURS = "[^.]+__[^.]+"
_PAUSE = timedelta(milliseconds=50)
"""Between two reads, so that a worker with hundreds of watches gathers them into a few."""
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
        self._reads = SharedReads(self._read, pause=_PAUSE)

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
            return _Read(taken_at, _parse(text, names))
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


class _Counted:
    """One cluster's samples, as they come."""

    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.buckets: list[tuple[float, int]] = []

    def add(self, sample: "_Sample") -> None:
        if sample.metric == "upstream_rq_time_bucket" and sample.at_most:
            self.buckets.append((float(sample.at_most), int(sample.value)))
        elif sample.metric == "upstream_rq_completed":
            self.requests = int(sample.value)
        elif sample.metric == "upstream_rq_xx" and sample.response_class == "5":
            self.errors = int(sample.value)

    def counters(self) -> Counters:
        # Envoy reads the two counters one after the other, while requests go on.
        errors = min(self.errors, self.requests)
        return Counters(requests=self.requests, errors=errors, latency=_histogram(self.buckets))


def _parse(text: str, wanted: AbstractSet[str]) -> dict[str, Counters]:
    """Of each cluster that is wanted and there. Raises ValueError for what is no sample of a cluster."""
    found: dict[str, _Counted] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            sample = _sample(line)
            if sample.cluster in wanted:
                found.setdefault(sample.cluster, _Counted()).add(sample)
    return {cluster: counted.counters() for cluster, counted in found.items()}


class _Sample(NamedTuple):
    metric: str
    response_class: str | None
    cluster: str
    at_most: str | None
    value: float


def _sample(line: str) -> _Sample:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"a line reads {line[:100]!r}")
    metric, response_class, cluster, at_most, value = match.groups()
    return _Sample(metric, response_class, cluster, at_most, float(value))


def _histogram(cumulative: Sequence[tuple[float, int]]) -> LatencyHistogram:
    """Prometheus' buckets hold everything up to their bound, ours what lies between two bounds."""
    ordered = sorted(cumulative)
    counts = [count for _, count in ordered]
    return LatencyHistogram(
        bounds_ms=tuple(bound for bound, _ in ordered if math.isfinite(bound)),
        counts=tuple(later - earlier for earlier, later in pairwise([0, *counts])),
    )
