"""The whole local stack: keeper, Temporal, Envoy, a worker process per queue; started in order, stopped in reverse."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from devstack.child import ChildSpec
from devstack.envoy import envoy_child, find_envoy, wait_until_ready
from devstack.errors import NotServingError, PortTakenError
from devstack.http_probe import wait_for_ok
from devstack.record import holding, read_record, remove_record, write_record
from devstack.supervisor import Supervisor
from devstack.temporal_cli import find_temporal_cli
from devstack.temporal_server import Connect, damaged_database, plainly, temporal_child, wait_until_serving
from devstack.voice import Voice
from models.quantities import HostPort, host_of, port_of
from models.stack import StackRecord
from models.temporal_names import TaskQueue
from providers.envoy_files import write_bootstrap
from providers.host_ports import OF_THE_STACK, free_ports, holder_of, is_free, process_started

__all__ = ["GATEWAY_COMMAND", "WORKER_COMMAND", "Addresses", "Hook", "Stack", "StackConfig", "read_record"]

T = TypeVar("T")

WORKER_COMMAND = (sys.executable, "-m", "starters.main", "worker")
"""Runs a worker, given the name of its queue group."""

KEEPER_COMMAND = (sys.executable, "-m", "keeper")

GATEWAY_COMMAND = (sys.executable, "-m", "starters.main", "gateway")

_KEEPER_GRACE = timedelta(seconds=10)
_GATEWAY_GRACE = timedelta(seconds=20)
_SERVES_WITHIN = timedelta(seconds=30)
_WORKERS_SERVE_WITHIN = timedelta(seconds=60)
_PORT_IS_LET_GO_WITHIN = 2.0


@dataclass(frozen=True)
class StackConfig:
    """What the local stack is made of. A port of 0 means any free one.

    With `temporal_address` that server is used by `temporal_connect`, and none is started; its UI is taken to be beside
    it on `ui_port`.
    `worker_grace` must be longer than the workers' own drain. Without `gateway_command` there is no front door.
    """

    home: Path
    temporal_address: HostPort | None = None
    temporal_namespace: str = "default"
    temporal_connect: Connect = plainly
    temporal_cli: Path | None = None
    cache_dir: Path | None = None
    temporal_port: int = 7233
    ui_port: int = 8233
    envoy_admin_port: int = 19901
    worker_groups: Sequence[str] = tuple(TaskQueue)
    worker_command: Sequence[str] = WORKER_COMMAND
    worker_env: Mapping[str, str] = field(default_factory=dict)
    worker_grace: timedelta = timedelta(seconds=45)
    keeper_command: Sequence[str] = KEEPER_COMMAND
    gateway_command: Sequence[str] = ()
    gateway_port: int = 0


@dataclass(frozen=True)
class Addresses:
    temporal: HostPort
    ui: HostPort
    envoy_admin: HostPort
    gateway: HostPort | None = None


Hook = Callable[[Addresses], Coroutine[None, None, None]]


class Stack:
    """`on_started` runs once Temporal and Envoy serve, before workers do; `on_stopping` once workers have stopped,
    while the others still serve.
    """

    def __init__(
        self, config: StackConfig, voice: Voice, *, on_started: Hook | None = None, on_stopping: Hook | None = None
    ) -> None:
        self._config = config
        self._home = config.home.absolute()
        self._voice = voice
        self._on_started = on_started
        self._on_stopping = on_stopping
        self._hook_due: Addresses | None = None
        self._base_stages = 0
        self.supervisor = Supervisor(self._home / "logs", voice)

    async def run(self, stop: asyncio.Event, on_ready: Callable[[StackRecord], None]) -> None:
        """Start everything, serve until `stop` is set, stop everything; also when starting fails or is interrupted.

        Raises StackError, ProviderError or AlreadyRunning.
        """
        with holding(self._home) as since:
            remove_record(self._home)  # a killed predecessor's
            try:
                record = await _unless_stopped(self._start(since), stop)
                if record is not None:
                    write_record(self._home, record)
                    on_ready(record)
                    await stop.wait()
            finally:
                await self._stop()

    async def _start(self, since: datetime) -> StackRecord:
        addresses = await self._choose_addresses()
        bootstrap = await asyncio.to_thread(write_bootstrap, self._home / "envoy", addresses.envoy_admin)
        keeper = await self._start_keeper(addresses)
        await self._start_temporal(addresses)
        envoy = envoy_child(find_envoy(), bootstrap)
        ready = partial(wait_until_ready, addresses.envoy_admin)
        await self.supervisor.start([(envoy, ready)], within=_SERVES_WITHIN)
        self._voice.say(f"Envoy serves; its admin interface is {addresses.envoy_admin}.")
        self._hook_due, self._base_stages = addresses, self.supervisor.stages
        if self._on_started:
            await self._on_started(addresses)
        health, metrics = await self._start_workers(addresses)
        return StackRecord(
            pid=os.getpid(),
            process_started=process_started(os.getpid()) or since.timestamp(),
            started_at=since,
            temporal=addresses.temporal,
            ui=addresses.ui,
            envoy_admin=addresses.envoy_admin,
            gateway=addresses.gateway,
            keeper_health=keeper,
            worker_health=health,
            worker_metrics=metrics,
        )

    async def _choose_addresses(self) -> Addresses:
        """Check the ports that were asked for before anything starts; choose the others."""
        config = self._config
        given = config.temporal_address
        asked = {"HOLDFAST_ENVOY_ADMIN_PORT": ("Envoy's admin interface", config.envoy_admin_port)}
        if given is None:
            asked["HOLDFAST_TEMPORAL_PORT"] = ("Temporal", config.temporal_port)
            asked["HOLDFAST_UI_PORT"] = ("Temporal's UI", config.ui_port)
        if config.gateway_command:
            asked["HOLDFAST_GATEWAY_PORT"] = ("the front door", config.gateway_port)
        for setting, (purpose, port) in asked.items():
            await _require_free(port, purpose, setting)
        temporal, ui, admin, gateway = free_ports(4, OF_THE_STACK)
        return Addresses(
            temporal=given or f"127.0.0.1:{config.temporal_port or temporal}",
            ui=f"{host_of(given) if given else '127.0.0.1'}:{config.ui_port or ui}",
            envoy_admin=f"127.0.0.1:{config.envoy_admin_port or admin}",
            gateway=f"127.0.0.1:{config.gateway_port or gateway}" if config.gateway_command else None,
        )

    async def _start_keeper(self, addresses: Addresses) -> HostPort:
        """Before all others, and stopped after them: what lapsed while nothing ran is taken back before Envoy serves,
        and what lapses while workers stop is still taken back.
        """
        (port,) = free_ports(1, OF_THE_STACK)
        health = f"127.0.0.1:{port}"
        child = ChildSpec(
            name="keeper",
            command=tuple(self._config.keeper_command),
            grace=_KEEPER_GRACE,
            env={
                **self._config.worker_env,
                "HOLDFAST_HOME": str(self._home),
                "HOLDFAST_ENVOY_ADMIN": addresses.envoy_admin,
                "HOLDFAST_KEEPER_HEALTH_PORT": str(port),
            },
        )
        await self.supervisor.start([(child, partial(wait_for_ok, health, "/readyz"))], within=_SERVES_WITHIN)
        return health

    async def _start_temporal(self, addresses: Addresses) -> None:
        config, address = self._config, addresses.temporal
        serving = partial(wait_until_serving, address, namespace=config.temporal_namespace, within=_SERVES_WITHIN)
        if config.temporal_address:
            await serving(connect=config.temporal_connect)
            self._voice.say(f"Temporal at {address} is used.")
            return
        cli = await find_temporal_cli(configured=config.temporal_cli, cache_dir=config.cache_dir, say=self._voice.say)
        child = temporal_child(
            cli,
            home=self._home,
            port=port_of(address),
            ui_port=port_of(addresses.ui),
            namespace=config.temporal_namespace,
        )
        try:
            await self.supervisor.start([(child, serving)], within=_SERVES_WITHIN * 2)
        except NotServingError as error:
            raise damaged_database(error, self._home) or error from error
        self._voice.say(f"Temporal serves at {address}; its UI is http://{addresses.ui}.")

    async def _start_workers(self, addresses: Addresses) -> tuple[dict[str, HostPort], dict[str, HostPort]]:
        groups = [str(group) for group in self._config.worker_groups]
        chosen = [f"127.0.0.1:{port}" for port in free_ports(2 * len(groups), OF_THE_STACK)]
        health = dict(zip(groups, chosen[::2], strict=True))
        metrics = dict(zip(groups, chosen[1::2], strict=True))
        self._voice.say(f"Starting a worker for each of {', '.join(groups)} ...")
        starting = []
        for group in groups:
            child = self._worker_child(group, addresses, health[group], metrics[group])
            starting.append((child, partial(wait_for_ok, health[group], "/readyz")))
        if addresses.gateway:
            gateway = self._gateway_child(addresses, addresses.gateway)
            starting.append((gateway, partial(wait_for_ok, addresses.gateway, "/readyz")))
        await self.supervisor.start(starting, within=_WORKERS_SERVE_WITHIN)
        return health, metrics

    def _gateway_child(self, addresses: Addresses, address: HostPort) -> ChildSpec:
        return ChildSpec(
            name="gateway",
            command=(*self._config.gateway_command, "--host", host_of(address), "--port", str(port_of(address))),
            grace=_GATEWAY_GRACE,
            env=self._temporal_env(addresses),
        )

    def _worker_child(self, group: str, addresses: Addresses, health: HostPort, metrics: HostPort) -> ChildSpec:
        return ChildSpec(
            name=f"worker-{group}",
            command=(*self._config.worker_command, group),
            grace=self._config.worker_grace,
            env={
                **self._temporal_env(addresses),
                "HOLDFAST_ENVOY_ADMIN": addresses.envoy_admin,
                "HOLDFAST_WORKER_HEALTH_PORT": str(port_of(health)),
                "HOLDFAST_WORKER_METRICS_PORT": str(port_of(metrics)),
            },
        )

    def _temporal_env(self, addresses: Addresses) -> dict[str, str]:
        return {
            **self._config.worker_env,
            "HOLDFAST_TEMPORAL_ADDRESS": addresses.temporal,
            "HOLDFAST_TEMPORAL_NAMESPACE": self._config.temporal_namespace,
            "HOLDFAST_HOME": str(self._home),
        }

    async def _stop(self) -> None:
        """Workers first, as what they watch goes next; then the services, then what both stood on."""
        try:
            if self._hook_due:
                await self.supervisor.stop(down_to=self._base_stages)
                if self._on_stopping:
                    await _unless_stopped(self._on_stopping(self._hook_due), self.supervisor.hurry)
        finally:
            await self.supervisor.stop()
            remove_record(self._home)


async def _unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """The work's result; None when it was cut off because of `stop`."""
    task = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


async def _require_free(port: int, purpose: str, setting: str) -> None:
    """A port that was asked for. A stack that was just killed may need a moment to let go."""
    deadline = time.monotonic() + _PORT_IS_LET_GO_WITHIN
    while port and not is_free(port):
        if time.monotonic() > deadline:
            holder = holder_of(port) or "a process that the system does not let us see"
            raise PortTakenError(
                f"Port {port}, for {purpose}, is taken by {holder}. "
                f"End that, or set {setting} to another port (0: any free one)."
            )
        await asyncio.sleep(0.1)
