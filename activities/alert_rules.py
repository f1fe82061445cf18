"""Evaluating alert rules, and bringing what they say to the incidents."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.handing_over import handed_over
from activities.heartbeats import heartbeating
from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import LOOK_EVERY, OpenIncidents
from activities.rule_looks import RuleLooks, due_rules
from analysis.rule_evaluation import Unread, evaluated, next_due
from models.alert import Normalised
from models.alert_rules import AlertRouting, AlertsSent, AlertsToSend, RuleStanding, RulesWatched, WatchRules
from providers.roles import MetricSource, SeriesSource, TrafficRouter

_LONGEST_WHY = 300
"""Of why an alert opens nothing, as the workflow keeps it for as long as the alert fires."""


class RuleWatch:
    """Only reads. What stands travels in the heartbeat: a worker that takes over goes on from there, without one event
    in the workflow's history.
    """

    def __init__(
        self, routers: Mapping[str, TrafficRouter], metric_sources: Mapping[str, MetricSource], series: SeriesSource
    ) -> None:
        self._looks = RuleLooks(routers, metric_sources, series)

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.watch]

    @activity.defn(name="rules.watch")
    async def watch(self, asked: WatchRules) -> RulesWatched:
        """Evaluate until an alert fires or clears; cut off, say what stands."""
        watching = _Watching(asked, self._looks)
        try:
            async with heartbeating(watching.standing) as say:
                return await watching.until_change(say)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested:
                raise
            return RulesWatched(standing=watching.standing, changes=())


class _Watching:
    def __init__(self, asked: WatchRules, looks: RuleLooks) -> None:
        details = activity.info().heartbeat_details
        self.standing = RuleStanding.model_validate(details[0]) if details else asked.standing
        self._rules = asked.rules
        self._looks = looks

    async def until_change(self, say: Callable[[RuleStanding], None]) -> RulesWatched:
        while True:
            due = due_rules(self._rules, self.standing, datetime.now(UTC))
            standing, found = await self._looks.look(self._rules, self.standing, due)
            for rule, each in found.items():
                if isinstance(each, Unread) and rule not in self.standing.troubles:
                    activity.logger.warning("The rule %s of %s is not evaluated: %s", rule, self._rules.ref, each.why)
            now = datetime.now(UTC)
            standing, changes = evaluated(self._rules, standing, found, now)
            if changes:
                # Not in a heartbeat before: a worker that died now would leave an alert that fires and was never sent.
                return RulesWatched(standing=standing, changes=changes)
            self.standing = standing
            say(standing)
            await _until(next_due(self._rules, standing, now))


class AlertDelivery:
    """Brings alerts of rules the way that the front door's take. Sent again, a batch is not counted twice."""

    def __init__(self, client: Callable[[], Client] = activity.client) -> None:
        self._client = client
        self._around, self._silences = OpenIncidents(), KnownSilences()
        self._intake = Intake(self._around, self._silences, here="rules")
        self._looked_at = float("-inf")

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.deliver]

    @activity.defn(name="rules.deliver")
    async def deliver(self, asked: AlertsToSend) -> AlertsSent:
        client = self._client()
        async with heartbeating():
            await self._look_around(client, asked.routing)
            answer = await self._intake.take(
                client,
                asked.routing,
                Normalised(alerts=asked.alerts),
                request=asked.request,
                who=f"rules of {asked.set}",
            )
        if answer.failed:
            raise ApplicationError("; ".join(dict.fromkeys(each.why for each in answer.failed)), type="NotTaken")
        return AlertsSent(suppressed={each.key: each.why[:_LONGEST_WHY] for each in answer.suppressed})

    async def _look_around(self, client: Client, routing: AlertRouting) -> None:
        await self._silences.look(client, routing.environment)
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY.total_seconds():
            self._looked_at = now
            await self._around.look(client, routing.incidents.storm.within)


async def _until(moment: datetime) -> None:
    """Sleep, unless the worker is asked to stop: then hand the watch over at once instead of delaying the stop."""
    seconds = max(0.0, (moment - datetime.now(UTC)).total_seconds())
    with suppress(TimeoutError):
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), seconds)
        raise handed_over()
