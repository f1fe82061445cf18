"""Splitting traffic, and watching how a candidate bears it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.failures import provider_errors
from activities.handing_over import handed_over
from activities.heartbeats import heartbeating
from activities.lease_renewal import StillWanted, ended, lapsed_before, run_goes_on, while_renewed
from activities.metrics import metrics_read
from analysis.canary_watch import CanaryWatch
from analysis.judgement import Measured
from models.deployment import Done, Instances
from models.evidence_trail import RolloutKey
from models.judge_spec import QueryRule
from models.judgement import Verdict, Watch, WatchProgress
from models.keeper import LeaseKey, LeaseStanding, LeaseState
from models.keeper_ledger import Lease, ReturnTraffic
from models.traffic import CurrentTraffic, ReadTraffic, RemoveTraffic, SetTraffic, TrafficSet, TrafficSplit
from providers.errors import ProviderError
from providers.roles import Deployer, LeaseKeeper, MetricSource, TrafficRouter
from records.roles import EvidenceLog

INSTANCES_EVERY = timedelta(seconds=5)
BEATS_A_SECOND = 200
"""Heartbeats of all watches of a worker together. Each is a transaction of Temporal's, and costs the worker about as
much as a look; so where many watch, each has its say less often."""
LONGEST_WITHOUT_BEAT = timedelta(milliseconds=1600)
"""Within the heartbeat timeout of a watch three of them have their place. What is seen in between is not lost with a
worker that dies: counters go on counting, and the next worker reads on from what the last heartbeat had."""


class TrafficActivities:
    """The traffic effects are idempotent: each asks for a state. The watch only reads, and renews its lease."""

    def __init__(
        self,
        routers: Mapping[str, TrafficRouter],
        metric_sources: Mapping[str, MetricSource],
        deployers: Mapping[str, Deployer],
        keeper: LeaseKeeper,
        evidence_log: EvidenceLog,
        *,
        still_wanted: StillWanted = run_goes_on,
    ) -> None:
        self._routers = routers
        self._metric_sources = metric_sources
        self._deployers = deployers
        self._keeper = keeper
        self._evidence_log = evidence_log
        self._still_wanted = still_wanted
        self._under_way = 0

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.current, self.apply, self.remove, self.watch]

    @activity.defn(name="traffic.current")
    async def current(self, asked: ReadTraffic) -> CurrentTraffic:
        with provider_errors(asked.spec.provider):
            async with heartbeating():
                return CurrentTraffic(split=await self._routers[asked.spec.provider].current(asked.ref, asked.spec))

    @activity.defn(name="traffic.apply")
    async def apply(self, asked: SetTraffic) -> TrafficSet:
        with provider_errors(asked.spec.provider):
            async with heartbeating():
                return await self._apply(asked)

    async def _apply(self, asked: SetTraffic) -> TrafficSet:
        settled, before = None, ""
        if asked.settle_first:
            settled = await self._keeper.settle(asked.settle_first)
            if settled.state is LeaseState.CARRIED_OUT:
                raise ended(asked.settle_first, settled)
        if asked.lease:
            armed = await self._keeper.arm(_lease(asked, asked.lease))
            _raise_unless_held(asked.lease, armed)
            before = lapsed_before(asked.lease, armed)
        router = self._routers[asked.spec.provider]
        applying = router.apply(asked.ref, asked.spec, asked.split, asked.backends, fence=asked.fence)
        if asked.lease is None:
            await applying
        else:
            await while_renewed(applying, self._keeper, asked.lease, self._still_wanted, at_once=False)
            # Counted from now on; and one that lapsed meanwhile is told, as the keeper takes the split back.
            _raise_unless_held(asked.lease, await self._keeper.renew(asked.lease))
        if asked.settle_after:
            settled = await self._keeper.settle(asked.settle_after)
        return TrafficSet(settled=settled, lapsed_before=before)

    @activity.defn(name="traffic.remove")
    async def remove(self, asked: RemoveTraffic) -> Done:
        with provider_errors(asked.spec.provider):
            async with heartbeating():
                await self._routers[asked.spec.provider].remove(asked.ref, asked.spec)
        return Done()

    @activity.defn(name="traffic.watch")
    async def watch(self, watch: Watch) -> Verdict:
        """Read the metrics every tick until there is a verdict.

        The progress travels in the heartbeat: a worker that takes over goes on from there, and people who watch
        read it, without one event in the workflow's history.
        """
        self._under_way += 1
        stopping = asyncio.ensure_future(activity.wait_for_worker_shutdown())
        try:
            watching = self._watch(watch, stopping)
            if watch.lease is None:
                return await watching
            return await while_renewed(watching, self._keeper, watch.lease, self._still_wanted)
        finally:
            stopping.cancel()
            self._under_way -= 1

    async def _watch(self, watch: Watch, stopping: asyncio.Future[None]) -> Verdict:
        source = self._metric_sources[watch.metrics.provider]
        canary = CanaryWatch(watch, _last_progress())
        rollout = _rollout()
        before = due = next_look = next_beat = time.monotonic()
        while True:
            now = time.monotonic()
            elapsed, before = timedelta(seconds=now - before), now
            try:
                async with heartbeating(canary.progress):
                    if now >= next_look:
                        next_look = now + INSTANCES_EVERY.total_seconds()
                        await self._look_at_instances(watch, canary)
                    snapshot = await source.snapshot(watch.ref, watch.metrics, watch.groups)
                    measured = await _measured(source, watch)
                verdict = canary.saw(snapshot, measured, elapsed=elapsed)
                metrics_read(watch.metrics.provider, missed=False)
            except ProviderError as problem:
                verdict = canary.missed(str(problem), at=datetime.now(UTC), elapsed=elapsed)
                metrics_read(watch.metrics.provider, missed=True)
            if verdict or now >= next_beat:
                next_beat = now + self._beat_every()
                activity.heartbeat(canary.progress)
            self._evidence_log.add(rollout, canary.samples())
            if verdict:
                return verdict
            due = max(due + watch.judge.tick.total_seconds(), time.monotonic())
            await _until(due, stopping, canary)

    def _beat_every(self) -> float:
        return min(self._under_way / BEATS_A_SECOND, LONGEST_WITHOUT_BEAT.total_seconds())

    async def _look_at_instances(self, watch: Watch, canary: CanaryWatch) -> None:
        if watch.deploy is None:
            return
        try:
            found = await self._deployers[watch.deploy.provider].instances(watch.ref, watch.deploy)
        except ProviderError as problem:  # says nothing of the instances, and must not hide what the metrics say
            activity.logger.warning("The instances of %s cannot be seen: %s", watch.ref, problem)
        else:
            canary.looked(Instances(instances=found))


async def _measured(source: MetricSource, watch: Watch) -> dict[str, Measured]:
    """What each query rule finds now, by its name; a failure is one of its rule alone."""

    async def one(rule: QueryRule) -> Measured:
        try:
            return await source.measure(watch.ref, watch.metrics, rule.query, watch.candidate)
        except ProviderError as problem:
            return problem

    rules = watch.judge.queries
    return dict(zip((rule.name for rule in rules), await asyncio.gather(*map(one, rules)), strict=True))


async def _until(moment: float, stopping: asyncio.Future[None], canary: CanaryWatch) -> None:
    """Sleep, seen to live; and if the worker is asked to stop, hand the watch over at once as it is now."""
    longest = LONGEST_WITHOUT_BEAT.total_seconds()
    while True:
        left = max(0.0, moment - time.monotonic())
        asked, _ = await asyncio.wait((stopping,), timeout=min(left, longest))
        if asked or left > longest:
            activity.heartbeat(canary.progress)
        if asked:
            raise handed_over()
        if left <= longest:
            return


def _lease(asked: SetTraffic, key: LeaseKey) -> Lease:
    stable = TrafficSplit(stable=asked.split.stable)
    undo = ReturnTraffic(ref=asked.ref, spec=asked.spec, split=stable, backends=asked.backends)
    return Lease(key=key.key, holder=key.holder, epoch=key.epoch, duration=key.duration, undo=undo)


def _raise_unless_held(lease: LeaseKey, standing: LeaseStanding) -> None:
    if standing.state is not LeaseState.HELD:
        raise ended(lease, standing)


def _rollout() -> RolloutKey:
    info = activity.info()
    assert info.workflow_id  # noqa: S101 - only workflows watch
    assert info.workflow_run_id  # noqa: S101
    return RolloutKey(workflow_id=info.workflow_id, run_id=info.workflow_run_id)


def _last_progress() -> WatchProgress:
    details = activity.info().heartbeat_details
    return WatchProgress.model_validate(details[0]) if details else WatchProgress()
