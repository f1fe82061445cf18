"""What runs where: instances of versions, and how they are to be run."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator

from models.base import Payload, Written
from models.fence import Fence
from models.ids import Group, ServiceRef, Version
from models.quantities import Duration, HostPort

COMMAND_PLACEHOLDERS = ("{python}", "{port}", "{version}", "{instance}")


class HttpReadiness(Written):
    """An instance is ready once GET `path` answers 2xx."""

    path: str = Field(default="/", pattern=r"^/")
    timeout: Duration = Field(
        default=timedelta(seconds=30), description="how long an instance may take to become ready"
    )


class ProcessDeployment(Written):
    """Instances are operating-system processes on the worker's own host."""

    provider: Literal["process"] = "process"
    command: tuple[str, ...] = Field(
        min_length=1,
        description="the program and its arguments; {port} (required), {version}, {instance}, {python} are filled in",
    )
    working_directory: str = Field(default=".", description="relative to the catalog's folder")
    env: dict[str, str] = Field(
        default_factory=dict,
        description="environment variables; ${env:NAME} and ${file:/path} are resolved where the instance starts",
    )
    instances: int = Field(default=1, ge=1, le=100)
    ready: HttpReadiness = Field(default_factory=HttpReadiness)
    drain: Duration = Field(
        default=timedelta(seconds=5),
        description="how long an instance may take to end after SIGTERM before it is killed",
    )

    @field_validator("command")
    @classmethod
    def _has_port(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not any("{port}" in part for part in command):
            raise ValueError("the command must contain {port}: Holdfast chooses a free port for each instance")
        return command


DeploySpec = Annotated[ProcessDeployment, Field()]


class Instance(Payload):
    """One running instance of one version, or of its baseline. `address` is where it answers HTTP.

    One that is `ending` was told to end: it may answer a little longer, and gets no traffic.
    """

    name: str
    version: Group
    address: HostPort
    pid: int
    started_at: datetime
    log: str
    ending: bool = False


class StartVersion(Payload):
    """Ask for all instances of a version to be running and ready. Asking again for what runs changes nothing."""

    ref: ServiceRef
    version: Version
    spec: DeploySpec
    fence: Fence | None = None


class ScaleVersion(Payload):
    """Ask for this many instances of a version that was started before, or of its baseline.

    They run as the version was last started; `spec` serves where that is not known.
    """

    ref: ServiceRef
    version: Group
    spec: DeploySpec
    instances: int
    fence: Fence | None = None


class StopVersion(Payload):
    """Ask for no instance of a version to be running. Asking again changes nothing."""

    ref: ServiceRef
    version: Group
    spec: DeploySpec
    fence: Fence | None = None


class ListInstances(Payload):
    ref: ServiceRef
    spec: DeploySpec


class Instances(Payload):
    """The live instances of a service, of one version or of all."""

    instances: tuple[Instance, ...] = ()

    def of(self, version: Group) -> tuple[Instance, ...]:
        """Those of a version that can be counted on."""
        return tuple(one for one in self.instances if one.version == version and not one.ending)

    @property
    def versions(self) -> frozenset[Group]:
        """Those of which an instance can be counted on."""
        return frozenset(instance.version for instance in self.instances if not instance.ending)

    def limited(self, version: Group, count: int) -> "Instances":
        """All but those of a version that are listed after its first `count`."""
        surplus = self.of(version)[count:]
        return Instances(instances=tuple(instance for instance in self.instances if instance not in surplus))


class Done(Payload):
    """The effect is in place; there is nothing else to say."""
