"""Requests, errors and latency per version, as Envoy counts them for the version's cluster.

https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from models.counters import Counters, LatencyHistogram, MetricSnapshot
from models.ids import Group, ServiceRef, Version
from models.judge_spec import MetricsSpec
from models.quantities import HostPort
from providers.envoy_admin import EnvoyAdmin, not_envoy
from providers.envoy_names import stat_name
from providers.errors import ProviderError

_STATISTICS = "upstream_rq_total|upstream_rq_completed|upstream_rq_5xx|upstream_rq_time"

# Prometheus' text format; label values of ours never need escaping.
_LINE = re.compile(r"(?P<metric>[a-z_]\w*)\{(?P<labels>[^}]*)\} (?P<value>\S+)", re.ASCII)
_LABEL = re.compile(r'(\w+)="([^"]*)"', re.ASCII)


class EnvoyMetrics:
    """A MetricSource.

    A request counts once it is over: answered, or answered by Envoy because the version did not (no connection,
    reset, timeout). The latter are 5xx, and so are errors. A caller that goes away before the answer is not counted.
    Latency is that of answers the version gave, and Envoy adds it up to 0.5 s later than the counts.
    """

    def __init__(self, admin: HostPort) -> None:
        self._address = admin
        self._admin = EnvoyAdmin(admin)

    async def aclose(self) -> None:
        await self._admin.aclose()

    async def snapshot(
        self,
        ref: ServiceRef,
        spec: MetricsSpec,  # noqa: ARG002 - the role's signature; there is nothing to choose
        versions: Sequence[Group],
    ) -> MetricSnapshot:
        names = {stat_name(ref, version): version for version in versions}
        taken_at = datetime.now(UTC)
        if not names:
            return MetricSnapshot(taken_at=taken_at)
        text = await self._admin.prometheus(rf"^cluster\.({'|'.join(names)})\.({_STATISTICS})$")
        try:
            samples = [_parse(line) for line in text.splitlines() if line and not line.startswith("#")]
        except ValueError as error:
            raise not_envoy(self._address, str(error)) from error
        by_cluster: dict[str, list[_Sample]] = {}
        for sample in samples:
            by_cluster.setdefault(sample.cluster, []).append(sample)
        return MetricSnapshot(
            taken_at=taken_at,
            versions={names[cluster]: _counters(found) for cluster, found in by_cluster.items() if cluster in names},
        )

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


class _Sample(BaseModel):
    model_config = ConfigDict(frozen=True)

    metric: str
    cluster: str
    response_class: str | None
    at_most: float | None
    value: float


def _parse(line: str) -> _Sample:
    """Raises ValueError for what is not a sample of a cluster."""
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError(f"a line reads {line[:100]!r}")
    labels = dict(_LABEL.findall(match["labels"]))
    if "envoy_cluster_name" not in labels:
        raise ValueError(f"a line without envoy_cluster_name: {line[:100]!r}")
    at_most = labels.get("le")
    return _Sample(
        metric=match["metric"].removeprefix("envoy_cluster_"),
        cluster=labels["envoy_cluster_name"],
        response_class=labels.get("envoy_response_code_class"),
        at_most=None if at_most is None else float(at_most),
        value=float(match["value"]),
    )


def _counters(samples: Iterable[_Sample]) -> Counters:
    requests = errors = 0
    buckets: list[tuple[float, int]] = []
    for sample in samples:
        if sample.metric == "upstream_rq_completed":
            requests = int(sample.value)
        elif sample.metric == "upstream_rq_xx" and sample.response_class == "5":
            errors = int(sample.value)
        elif sample.metric == "upstream_rq_time_bucket" and sample.at_most is not None:
            buckets.append((sample.at_most, int(sample.value)))
    # Envoy reads the two counters one after the other, while requests go on.
    return Counters(requests=requests, errors=min(errors, requests), latency=_histogram(buckets))


def _histogram(cumulative: Sequence[tuple[float, int]]) -> LatencyHistogram:
    """Prometheus' buckets hold everything up to their bound, ours what lies between two bounds."""
    ordered = sorted(cumulative)
    counts = [count for _, count in ordered]
    return LatencyHistogram(
        bounds_ms=tuple(bound for bound, _ in ordered if math.isfinite(bound)),
        counts=tuple(later - earlier for earlier, later in pairwise([0, *counts])),
    )
