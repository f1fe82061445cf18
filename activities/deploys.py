"""Running and stopping versions."""

from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity

from activities.failures import provider_errors
from activities.heartbeats import heartbeating
from models.deployment import Done, Instances, ListInstances, ScaleVersion, StartVersion, StopVersion
from providers.roles import Deployer


class DeployActivities:
    """Idempotent by nature: each asks for a state, and asking again for what is changes nothing."""

    def __init__(self, deployers: Mapping[str, Deployer]) -> None:
        self._deployers = deployers

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.instances, self.start, self.scale, self.stop]

    @activity.defn(name="deploy.instances")
    async def instances(self, asked: ListInstances) -> Instances:
        with provider_errors(asked.spec.provider):
            async with heartbeating():
                return Instances(instances=await self._deployers[asked.spec.provider].instances(asked.ref, asked.spec))

    @activity.defn(name="deploy.start")
    async def start(self, asked: StartVersion) -> Instances:
        with provider_errors(asked.spec.provider):
            async with heartbeating() as say:
                deployer = self._deployers[asked.spec.provider]
                return Instances(instances=await deployer.start(asked.ref, asked.version, asked.spec, say, asked.fence))

    @activity.defn(name="deploy.scale")
    async def scale(self, asked: ScaleVersion) -> Instances:
        with provider_errors(asked.spec.provider):
            async with heartbeating() as say:
                deployer = self._deployers[asked.spec.provider]
                found = await deployer.scale(asked.ref, asked.version, asked.spec, asked.instances, say, asked.fence)
                return Instances(instances=found)

    @activity.defn(name="deploy.stop")
    async def stop(self, asked: StopVersion) -> Done:
        with provider_errors(asked.spec.provider):
            async with heartbeating() as say:
                deployer = self._deployers[asked.spec.provider]
                await deployer.stop(asked.ref, asked.version, asked.spec, say, asked.fence)
        return Done()
