"""What instances of one version counted, as a Prometheus is made to remember it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate

STEP = 60

Minutes = Sequence[tuple[int, int]]
"""Requests and bad ones of each minute. Fewer than no requests: the instance began anew."""


def openmetrics(version: str, instances: Mapping[str, Minutes], ends: datetime) -> str:
    """Two families of counters, scraped once a minute until `ends`. A series of errors begins with the first error."""
    each = {name: list(_counters(minutes)) for name, minutes in instances.items()}
    lines = ["# TYPE http_requests counter", "# TYPE http_errors counter"]
    families: dict[str, list[str]] = {"http_requests": [], "http_errors": []}
    for name, counters in each.items():
        begins = round(ends.timestamp()) - STEP * (len(counters) - 1)
        labels = f'{{app="shop",version="{version}",pod="{name}",instance="{name}:80"}}'
        for minute, (requests, errors) in enumerate(counters):
            at = begins + STEP * minute
            families["http_requests"].append(f"http_requests_total{labels} {requests} {at}")
            if errors:
                families["http_errors"].append(f"http_errors_total{labels} {errors} {at}")
    text = [line for kind, found in zip(lines, families.values(), strict=True) for line in (kind, *found)]
    return "\n".join([*text, "# EOF", ""])


def _counters(minutes: Minutes) -> Iterator[tuple[int, int]]:
    def after(before: tuple[int, int], more: tuple[int, int]) -> tuple[int, int]:
        return (0, 0) if more[0] < 0 else (before[0] + more[0], before[1] + more[1])

    return accumulate(minutes, after, initial=(0, 0))
