"""Where alert rules look, in tests: what they find is said by the test, and each look is one second of a fake time."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from analysis.rule_evaluation import Found, Sample, evaluated
from models.alert_rules import AlertsSent, AlertsToSend, RulesWatched, WatchRules
from models.counters import MetricSnapshot
from models.series import FoundSeries
from providers.errors import ProviderError


class FakeWatch:
    """Evaluates as the real one does, at the moments and of the values that a test pushes, by the set's name."""

    def __init__(self) -> None:
        self._seen: dict[str, asyncio.Queue[dict[str, Found] | None]] = {}
        self.begun: list[WatchRules] = []
        self.failing: set[str] = set()

    def see(self, name: str, **found: float | None) -> None:
        """One look: what each rule finds."""
        self._queue(name).put_nowait({rule: (Sample({}, value),) for rule, value in found.items()})

    def _queue(self, name: str) -> "asyncio.Queue[dict[str, Found] | None]":
        return self._seen.setdefault(name, asyncio.Queue())

    @activity.defn(name="rules.watch")
    async def watch(self, asked: WatchRules) -> RulesWatched:
        self.begun.append(asked)
        if asked.rules.ref.service in self.failing:
            raise ApplicationError("the result is too large", non_retryable=True)
        standing = asked.standing
        now = max([*standing.evaluated_at.values(), activity.info().started_time])
        queue = self._queue(asked.rules.ref.service)
        while True:
            activity.heartbeat(standing)
            try:
                async with asyncio.timeout(0.2):
                    found = await queue.get()
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                return RulesWatched(standing=standing, changes=())
            now += timedelta(seconds=15)
            standing, changes = evaluated(asked.rules, standing, found or {}, now)
            if changes:
                return RulesWatched(standing=standing, changes=changes)


class FakeDelivery:
    """Takes batches, after failing as often as a test says."""

    def __init__(self) -> None:
        self.batches: list[AlertsToSend] = []
        self.attempts: list[str] = []
        self.failures = 0
        self.suppressing = ""

    @activity.defn(name="rules.deliver")
    async def deliver(self, asked: AlertsToSend) -> AlertsSent:
        self.attempts.append(asked.request)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("Temporal does not answer")
        self.batches.append(asked)
        why = self.suppressing
        return AlertsSent(suppressed={alert.dedupe_key: why for alert in asked.alerts} if why else {})

    def said(self, name: str) -> list[tuple[str, str]]:
        """Status and title of each alert of a set, in order."""
        alerts = (alert for batch in self.batches if batch.set.service == name for alert in batch.alerts)
        return [(str(alert.status), alert.title) for alert in alerts]


class FakeSeries:
    """A Prometheus that finds what a test says, by the query."""

    def __init__(self, found: Mapping[str, Sequence[FoundSeries] | ProviderError] | None = None) -> None:
        self.found = dict(found or {})
        self.asked: list[str] = []

    async def series(self, address: object, query: str) -> tuple[FoundSeries, ...]:
        self.asked.append(query)
        found = self.found.get(query, ())
        if isinstance(found, ProviderError):
            raise found
        return tuple(found)


class FakeCounters:
    """A metric source that gives one reading after the other, the last one for ever."""

    def __init__(self, *readings: MetricSnapshot | ProviderError, number: float | None = None) -> None:
        self._readings = list(readings)
        self.number = number
        self.queries: list[str] = []

    async def snapshot(self, ref: object, spec: object, versions: object) -> MetricSnapshot:
        reading = self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
        if isinstance(reading, ProviderError):
            raise reading
        return reading

    async def measure(self, ref: object, spec: object, query: str, version: str) -> float | None:
        self.queries.append(f"{query} of {version}")
        return self.number
