"""The outside world as a rollout meets it: its service's instances, traffic and metrics, through activities."""

from datetime import timedelta

from temporalio import workflow
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from activities.deploys import DeployActivities
    from activities.traffic import TrafficActivities
    from models.deployment import Instances, ListInstances, ScaleVersion, StartVersion, StopVersion
    from models.fence import Fence
    from models.ids import Group, Version, group_words
    from models.judgement import Verdict, Watch
    from models.keeper import LeaseKey
    from models.quantities import format_percent
    from models.rollout import RolloutRequest
    from models.temporal_names import TaskQueue
    from models.traffic import Backend, ReadTraffic, RemoveTraffic, SetTraffic, TrafficSet, TrafficSplit
    from workflows.policies import EFFECT, MUST_HAPPEN, QUICK_READ, READ, SLOW_EFFECT, WATCH, on
    from workflows.rollout_decided import is_decided


class World:
    """Typed calls, each with its policy. A call on the way forward gives up some time; one that must happen does not,
    nor does any of a rollout that is decided.

    All raise ActivityError.
    """

    def __init__(self, request: RolloutRequest) -> None:
        self._request = request
        self._ref = request.ref
        self._spec = request.spec
        self._asked = 0
        self._first_look = READ if request.automatic else QUICK_READ

    async def traffic(self) -> TrafficSplit | None:
        found = await workflow.execute_activity_method(
            TrafficActivities.current,
            ReadTraffic(ref=self._ref, spec=self._spec.traffic),
            **self._on(TaskQueue.TRAFFIC, self._first_look, "which version is stable?"),
        )
        return found.split

    async def instances(self, *, patiently: bool = True) -> Instances:
        policy = READ if patiently else self._first_look
        return await workflow.execute_activity_method(
            DeployActivities.instances,
            ListInstances(ref=self._ref, spec=self._spec.deploy),
            **self._on(TaskQueue.DEPLOYS, policy, "which instances live?"),
        )

    async def start(self, version: Version, instances: int | None = None) -> Instances:
        spec = self._spec.deploy
        wanted = spec if instances is None else spec.model_copy(update={"instances": instances})
        return await workflow.execute_activity_method(
            DeployActivities.start,
            StartVersion(ref=self._ref, version=version, spec=wanted, fence=self._fence()),
            **self._on(TaskQueue.DEPLOYS, SLOW_EFFECT, f"start {version}"),
        )

    async def scale(self, version: Group, instances: int) -> Instances:
        return await workflow.execute_activity_method(
            DeployActivities.scale,
            ScaleVersion(
                ref=self._ref, version=version, spec=self._spec.deploy, instances=instances, fence=self._fence()
            ),
            **self._on(TaskQueue.DEPLOYS, SLOW_EFFECT, f"{group_words(version)} with {instances}"),
        )

    async def stop(self, version: Group) -> None:
        await workflow.execute_activity_method(
            DeployActivities.stop,
            StopVersion(ref=self._ref, version=version, spec=self._spec.deploy, fence=self._fence()),
            **on(TaskQueue.DEPLOYS, MUST_HAPPEN, f"stop {group_words(version)}"),
        )

    async def split(
        self,
        split: TrafficSplit,
        running: Instances,
        *,
        lease: LeaseKey | None = None,
        settle_first: LeaseKey | None = None,
        settle_after: LeaseKey | None = None,
    ) -> TrafficSet:
        leases = {"lease": lease, "settle_first": settle_first, "settle_after": settle_after}
        asked = self._set_traffic(split, running).model_copy(update=leases)
        return await workflow.execute_activity_method(
            TrafficActivities.apply, asked, **self._on(TaskQueue.TRAFFIC, EFFECT, _summary(split))
        )

    async def give_all_to(self, stable: Version, *, settle_after: LeaseKey) -> None:
        """All traffic to one version, brought back to life first should nothing of it live any more."""
        running = await self.instances()
        if not running.of(stable):
            running = await self.scale(stable, self._spec.deploy.instances)  # as it ran, not as a newer catalog says
        await self.give_all(TrafficSplit(stable=stable), running, settle_after=settle_after)

    async def give_all(self, split: TrafficSplit, running: Instances, *, settle_after: LeaseKey) -> None:
        asked = self._set_traffic(split, running).model_copy(update={"settle_after": settle_after})
        await workflow.execute_activity_method(
            TrafficActivities.apply, asked, **on(TaskQueue.TRAFFIC, MUST_HAPPEN, _summary(split))
        )

    async def remove_traffic(self) -> None:
        await workflow.execute_activity_method(
            TrafficActivities.remove,
            RemoveTraffic(ref=self._ref, spec=self._spec.traffic),
            **on(TaskQueue.TRAFFIC, MUST_HAPPEN, "route the service no more"),
        )

    async def watch(self, watch: Watch) -> Verdict:
        policy = WATCH.copy()
        policy["heartbeat_timeout"] = max(timedelta(seconds=5), 3 * watch.judge.tick)
        return await workflow.execute_activity_method(
            TrafficActivities.watch, watch, **on(TaskQueue.TRAFFIC, policy, f"watch {watch.candidate}")
        )

    def _on(self, queue: TaskQueue, policy: ActivityConfig, summary: str) -> ActivityConfig:
        return on(queue, MUST_HAPPEN if is_decided(self._request) else policy, summary)

    def _fence(self) -> Fence:
        """Rises with each change that is asked for, so that an attempt which outlived its step is told apart."""
        self._asked += 1
        return Fence(run_id=workflow.info().run_id, number=self._asked)

    def _set_traffic(self, split: TrafficSplit, running: Instances) -> SetTraffic:
        return SetTraffic(
            ref=self._ref,
            spec=self._spec.traffic,
            split=split,
            backends=tuple(
                Backend(
                    version=version,
                    addresses=tuple(instance.address for instance in running.of(version)),
                )
                for version in split.weights()
            ),
        )


def _summary(split: TrafficSplit) -> str:
    return " / ".join(f"{group_words(group)} {format_percent(share)}" for group, share in split.weights().items())
