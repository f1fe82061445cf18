"""What the users of a service met: counted per version, for people and for programs."""

import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

UNKNOWN = "unknown"
"""The version of a request that no version answered, or that does not say which did."""

_LATENCIES_KEPT = 100_000


class VersionTally(BaseModel):
    ok: int = 0
    failed: int = 0


class TrafficReport(BaseModel):
    """Totals since the start. A request under way is sent, and neither ok nor failed yet."""

    started_at: datetime
    updated_at: datetime
    sent: int = 0
    ok: int = 0
    failed: int = 0
    by_version: dict[str, VersionTally] = Field(default_factory=dict)
    failures: dict[str, int] = Field(
        default_factory=dict, description="by version and what was met instead of an answer"
    )
    first_failure_at: datetime | None = None
    last_failure_at: datetime | None = None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that whoever reads it never meets half a report. Raises OSError."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(path)


class Second(BaseModel):
    """What was met since the last line. `p95_ms` is None when nothing was answered."""

    ok: int = 0
    failed: int = 0
    p95_ms: float | None = None
    share: dict[str, float] = Field(default_factory=dict)

    def line(self) -> str:
        p95 = "-" if self.p95_ms is None else f"{self.p95_ms:.0f} ms"
        shares = "  ".join(f"{version} {share:.0f}%" for version, share in self.share.items())
        return f"ok {self.ok:4}  failed {self.failed:4}  p95 {p95:>8}  {shares}".rstrip()


class Tally:
    """Counts every request once: when it is sent, and when it has ended."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._total = TrafficReport(started_at=now, updated_at=now)
        self._recent: dict[str, VersionTally] = {}
        self._recent_ms: list[float] = []
        self._all_ms: deque[float] = deque(maxlen=_LATENCIES_KEPT)

    def sent(self) -> None:
        self._total.sent += 1

    def ended(self, version: str, met: str, *, ok: bool, milliseconds: float) -> None:
        for tallies in (self._total.by_version, self._recent):
            tally = tallies.setdefault(version, VersionTally())
            tally.ok += ok
            tally.failed += not ok
        self._recent_ms.append(milliseconds)
        self._all_ms.append(milliseconds)
        if ok:
            self._total.ok += 1
            return
        self._total.failed += 1
        kind = f"{version}: {met}"
        self._total.failures[kind] = self._total.failures.get(kind, 0) + 1
        self._total.last_failure_at = datetime.now(UTC)
        self._total.first_failure_at = self._total.first_failure_at or self._total.last_failure_at

    def report(self) -> TrafficReport:
        return self._total.model_copy(deep=True, update={"updated_at": datetime.now(UTC)})

    def take_second(self) -> Second:
        """What ended since this was last asked."""
        recent, milliseconds = self._recent, self._recent_ms
        self._recent, self._recent_ms = {}, []
        return _summed(recent, milliseconds)

    def summary(self) -> str:
        total = self._total
        whole = _summed(total.by_version, list(self._all_ms))
        unfinished = total.sent - total.ok - total.failed
        left = f"  unfinished {unfinished}" if unfinished else ""
        return f"in all: sent {total.sent}  {whole.line()}{left}"


def _summed(tallies: dict[str, VersionTally], milliseconds: list[float]) -> Second:
    count = sum(tally.ok + tally.failed for tally in tallies.values())
    return Second(
        ok=sum(tally.ok for tally in tallies.values()),
        failed=sum(tally.failed for tally in tallies.values()),
        p95_ms=_p95(milliseconds),
        share={version: 100 * (tally.ok + tally.failed) / count for version, tally in sorted(tallies.items())},
    )


def _p95(milliseconds: list[float]) -> float | None:
    """The nearest rank: the time within which 95 of 100 requests ended."""
    if not milliseconds:
        return None
    ordered = sorted(milliseconds)
    return ordered[-(-95 * len(ordered) // 100) - 1]
