"""What the rules of a set find now."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime

from analysis.rule_evaluation import Found, Sample, Unread
from analysis.rule_figures import figure_of, looked
from models.alert_expression import Figure
from models.alert_rules import AlertRule, PrometheusAddress, RuleSet, RuleStanding
from models.ids import Group, Version
from models.judge_spec import MetricsSpec
from models.metric_sources import PrometheusMetrics
from models.series import FoundSeries
from models.templates import fill_promql, names_version
from models.traffic import TrafficSplit
from providers.errors import ProviderError
from providers.roles import MetricSource, SeriesSource, TrafficRouter

AT_ONCE = 8
"""Queries of one set."""


class RuleLooks:
    """A rule of which nothing can be read is said to be unread, and says nothing of the others."""

    def __init__(
        self,
        routers: Mapping[str, TrafficRouter],
        metric_sources: Mapping[str, MetricSource],
        series: SeriesSource,
    ) -> None:
        self._routers = routers
        self._sources = metric_sources
        self._series = series
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def look(
        self, rules: RuleSet, standing: RuleStanding, due: Sequence[AlertRule]
    ) -> tuple[RuleStanding, dict[str, Found]]:
        """What stands, with the counters read, and what was found for each rule that is due."""
        if rules.prometheus is not None:
            address = rules.prometheus
            found = await asyncio.gather(*(_found(self._ask(address, rule.query)) for rule in due))
            return standing, dict(zip((rule.id for rule in due), found, strict=True))
        if rules.metrics is None or rules.traffic is None:
            return standing, {}
        try:
            split = await self._routers[rules.traffic.provider].current(rules.ref, rules.traffic)
        except ProviderError as problem:
            return standing, {rule.id: Unread(str(problem)) for rule in due}
        if split is None:
            # Nothing was ever deployed, or it was taken away: what there was has vanished.
            return standing.model_copy(update={"last": None, "counted": ()}), {rule.id: () for rule in due}
        return await self._of_service(rules, rules.metrics, standing, due, split)

    async def _of_service(
        self,
        rules: RuleSet,
        metrics: MetricsSpec,
        standing: RuleStanding,
        due: Sequence[AlertRule],
        split: TrafficSplit,
    ) -> tuple[RuleStanding, dict[str, Found]]:
        own = {rule.id: rule.comparison.figure for rule in due if rule.comparison and not rule.query}
        queries = [rule for rule in due if rule.query]
        found: dict[str, Found] = {}
        if own:
            interval = min(rule.interval for rule in due)
            try:
                snapshot = await self._sources[metrics.provider].snapshot(rules.ref, metrics, list(split.weights()))
            except ProviderError as problem:
                found |= {rule: Unread(str(problem)) for rule in own}
            else:
                standing = looked(rules, standing, snapshot, interval)
                found |= {rule: (_sample(figure, rules, standing),) for rule, figure in own.items()}
        asked = await asyncio.gather(*(_found(self._query(rules, metrics, rule, split)) for rule in queries))
        return standing, found | dict(zip((rule.id for rule in queries), asked, strict=True))

    async def _query(
        self, rules: RuleSet, metrics: MetricsSpec, rule: AlertRule, split: TrafficSplit
    ) -> tuple[Sample, ...]:
        """One number for the service, or one for each version where the query says so. Raises ProviderError."""
        if not names_version(rule.query):
            return await self._measured(rules, metrics, rule, split.stable)
        versions: list[Version] = [split.stable, *([split.candidate] if split.candidate else [])]
        each = await asyncio.gather(*(self._measured(rules, metrics, rule, version) for version in versions))
        return tuple(
            Sample({"version": version, **sample.labels}, sample.value)
            for version, samples in zip(versions, each, strict=True)
            for sample in samples
        )

    async def _measured(
        self, rules: RuleSet, metrics: MetricsSpec, rule: AlertRule, version: Group
    ) -> tuple[Sample, ...]:
        if isinstance(metrics, PrometheusMetrics):
            address = PrometheusAddress(url=metrics.url, token=metrics.token, timeout=metrics.timeout)
            return await self._ask(address, fill_promql(rule.query, rules.ref, version))
        async with self._turns:
            value = await self._sources[metrics.provider].measure(rules.ref, metrics, rule.query, version)
        return (Sample({}, value),)

    async def _ask(self, address: PrometheusAddress, query: str) -> tuple[Sample, ...]:
        async with self._turns:
            series: tuple[FoundSeries, ...] = await self._series.series(address, query)
        return tuple(Sample(each.labels, each.value) for each in series)


async def _found(reading: Awaitable[tuple[Sample, ...]]) -> Found:
    try:
        return await reading
    except ProviderError as problem:
        return Unread(str(problem))


def due_rules(rules: RuleSet, standing: RuleStanding, now: datetime) -> list[AlertRule]:
    return [
        rule
        for rule in rules.rules
        if (last := standing.evaluated_at.get(rule.id)) is None or last + rule.interval <= now
    ]


def _sample(figure: Figure, rules: RuleSet, standing: RuleStanding) -> Sample:
    return Sample({}, figure_of(figure, standing.counted, rules.min_requests))
