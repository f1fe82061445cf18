"""Reading Envoy's statistics of clusters, in Prometheus' text format, as it gives them every few tenths of a second.

Hundreds of clusters make megabytes, of which little changes from one answer to the next. So the text is cut into
pieces, and a histogram whose piece reads as it did before is not taken apart again.

Envoy leaves out what was never set. A cluster is there if the number of its members is, and what else of it is missing
is 0.
"""

import math
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import NamedTuple

from models.counters import Counters, LatencyHistogram

_FAMILY = "# TYPE "
_HISTOGRAM = "envoy_cluster_upstream_rq_time"
_COMPLETED, _BY_CLASS = "envoy_cluster_upstream_rq_completed", "envoy_cluster_upstream_rq_xx"
_MEMBERS = "envoy_cluster_membership_total"
# With the labels in the order that Envoy gives them; no value of ours needs escaping.
_LINE = re.compile(
    r'envoy_cluster_\w+\{(?:envoy_response_code_class="(\w*)",)?envoy_cluster_name="([^"]*)"\} (\d+)', re.ASCII
)
_BUCKET = re.compile(_HISTOGRAM + r'_bucket\{envoy_cluster_name="([^"]*)",le="([^"]*)"\} (\d+)\n', re.ASCII)
_SUM = re.compile(_HISTOGRAM + r'_sum\{envoy_cluster_name="([^"]*)"\} \S+\n', re.ASCII)
_COUNT = _HISTOGRAM + '_count{envoy_cluster_name="'
_MOST_KNOWN = 5_000
"""Clusters whose histograms are remembered; versions come and go for as long as a worker lives."""


class _Histogram(NamedTuple):
    """As last seen."""

    text: str
    parsed: LatencyHistogram


class EnvoyStatistics:
    """Remembers the histograms of the answer before."""

    def __init__(self) -> None:
        self._histograms: dict[str, _Histogram] = {}

    def parsed(self, text: str, wanted: AbstractSet[str]) -> dict[str, Counters]:
        """Of each cluster that is wanted and there. Raises ValueError for what is no sample of a cluster."""
        families = dict(_families(text))
        there = {cluster for cluster, _, _ in _samples(families.get(_MEMBERS, ""))}
        requests = {cluster: count for cluster, _, count in _samples(families.get(_COMPLETED, ""))}
        errors = {cluster: count for cluster, kind, count in _samples(families.get(_BY_CLASS, "")) if kind == "5"}
        histograms = self._read_histograms(families.get(_HISTOGRAM, ""), wanted)
        nothing = _nothing(histograms)
        return {
            cluster: Counters(
                requests=requests.get(cluster, 0),
                # Envoy reads the two counters one after the other, while requests go on.
                errors=min(errors.get(cluster, 0), requests.get(cluster, 0)),
                latency=histograms[cluster].parsed if cluster in histograms else nothing,
            )
            for cluster in wanted
            if cluster in there or cluster in requests
        }

    def _read_histograms(self, body: str, wanted: AbstractSet[str]) -> dict[str, _Histogram]:
        """A histogram's lines follow each other, its count last."""
        found = {}
        before, *pieces = body.split(_COUNT)
        for piece in pieces:
            buckets, (end, _, after) = before, piece.partition("\n")
            before = after
            cluster, separator, _ = end.partition('"} ')
            if not separator:
                raise ValueError(f"a line reads {_COUNT + end[:100]!r}")
            if cluster in wanted:
                known = self._histograms.get(cluster)
                unchanged = known is not None and known.text == buckets
                found[cluster] = known if known and unchanged else _Histogram(buckets, _histogram(buckets, cluster))
        if before:
            raise ValueError(f"a line reads {before[:100]!r}")
        self._histograms = {**(self._histograms if len(self._histograms) < _MOST_KNOWN else {}), **found}
        return found


def _families(text: str) -> Iterator[tuple[str, str]]:
    """The name of each, and its samples."""
    before, *families = text.split(_FAMILY)
    if before:
        raise ValueError(f"it begins with {before[:100]!r}")
    for family in families:
        header, _, body = family.partition("\n")
        yield header.split(" ")[0], body.strip("\n") + "\n" if body.strip("\n") else ""


def _samples(body: str) -> Iterator[tuple[str, str, int]]:
    """Cluster, class of response (or nothing) and value."""
    for line in body.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"a line reads {line[:100]!r}")
        kind, cluster, value = match.groups()
        yield cluster, kind or "", int(value)


def _histogram(text: str, cluster: str) -> LatencyHistogram:
    """Prometheus' buckets hold everything up to their bound, ours what lies between two bounds."""
    rest = _BUCKET.sub("", text)
    if not _SUM.fullmatch(rest):
        raise ValueError(f"among the lines of {cluster} is {rest[:100]!r}")
    ordered = sorted((float(bound), int(count)) for _, bound, count in _BUCKET.findall(text))
    return LatencyHistogram(
        bounds_ms=tuple(bound for bound, _ in ordered if math.isfinite(bound)),
        counts=_between([count for _, count in ordered]),
    )


def _between(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(later - earlier for earlier, later in pairwise([0, *counts]))


def _nothing(histograms: dict[str, _Histogram]) -> LatencyHistogram:
    """Of a cluster without an answer yet, by the bounds that this Envoy has for all."""
    for histogram in histograms.values():
        bounds = histogram.parsed.bounds_ms
        return LatencyHistogram(bounds_ms=bounds, counts=(0,) * (len(bounds) + 1))
    return LatencyHistogram()
