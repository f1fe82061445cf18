"""The life of a worker process: connect, work, and leave without dropping what runs."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor, PollerBehaviorSimpleMaximum, Worker, WorkerDeploymentConfig

from models.quantities import HostPort, format_duration
from runtime.client import connect_when_up
from runtime.health import serving_health
from runtime.sentry import flush_sentry, init_sentry
from runtime.settings import Settings
from runtime.telemetry import temporal_runtime
from runtime.tracing import end_tracing, init_tracing
from workers.census import keep_census, keep_incident_census
from workers.groups import Group
from workers.health import Status
from workers.wiring import Adapters
from workflows.incident import Incident
from workflows.metrics import begin_at_zero, incidents_begin_at_zero
from workflows.rollout import Rollout

HEARTBEAT_THROTTLE = timedelta(milliseconds=800)
"""People watch a rollout by its heartbeats, read every second; the SDK would send one a minute."""

STICKY_PATIENCE = timedelta(seconds=3)
"""How long a decision waits for the worker that holds the workflow before another replays it. A worker that died
would otherwise hold a rollback up for 10 s, the SDK's default."""

FAREWELL = timedelta(seconds=15)
"""Beyond the drain, for cancelled activities to end and results to be sent; the SDK gives up on a server that is gone
after about as long."""

VERSIONING = VersioningBehavior.AUTO_UPGRADE
"""What is open goes on with the build that is current. A rollout may wait for a person for days, and a guard lives for
ever: pinned to the build they began with, they would stop being watched and taken back the moment its last worker went.
What this asks of us is asked already: a change to a released workflow goes through `workflow.patched`, and the recorded
histories replay. A workflow that is over within minutes may say `versioning_behavior=PINNED` itself."""

logger = logging.getLogger(__name__)


class WorkerFailedError(Exception):
    """A worker ended though nobody asked it to; the sentence names its queue and the reason."""


async def run_workers(
    groups: Sequence[Group],
    settings: Settings,
    *,
    address: HostPort | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> None:
    """Run the workers of these groups until SIGTERM or SIGINT; a second signal ends the process at once.

    `address` is where the local stack's Temporal is, used unless settings name a server. While Temporal is away this
    waits. Raises WorkerFailedError when one worker fails, after the others have stopped, and OSError for a taken port.
    """
    init_sentry(settings)
    init_tracing(settings, f"holdfast-worker-{'-'.join(str(group.queue) for group in groups)}")
    status = Status([str(group.queue) for group in groups])
    stopping = asyncio.Event()
    try:
        with _stopped_by_signals(stopping), serving_health(status, settings.worker_health_port) as health:
            runtime, metrics = _metered_runtime(settings)
            queues = ", ".join(str(group.queue) for group in groups)
            logger.info("Worker for %s started", queues, extra={"health": health, "metrics": metrics})
            client = await connect_when_up(settings, stopping, address=address, runtime=runtime)
            if client is not None:
                async with Adapters(settings) as adapters:
                    version = _deployment(settings)
                    workers = [build_worker(group, client, adapters, interceptors, version) for group in groups]
                    async with _census(groups, client, runtime):
                        await _work(groups, workers, status, stopping)
            logger.info("Worker stopped")
    finally:
        await asyncio.to_thread(_send_what_is_left)


def _send_what_is_left() -> None:
    flush_sentry()
    end_tracing()


async def _work(groups: Sequence[Group], workers: Sequence[Worker], status: Status, stopping: asyncio.Event) -> None:
    runs = [asyncio.create_task(worker.run(), name=worker.task_queue) for worker in workers]
    status.connected(workers)
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait([*runs, asked], return_when=asyncio.FIRST_COMPLETED)
    status.stopping()
    asked.cancel()
    shutdowns = [asyncio.create_task(worker.shutdown()) for worker in workers]
    await _ended([*runs, *shutdowns], max(group.drain for group in groups) + FAREWELL)
    for run in runs:
        error = run.exception()
        if error is not None:
            # The SDK wraps what happened in a sentence that only says which half of the worker it happened in.
            raise WorkerFailedError(
                f"the worker on queue {run.get_name()} failed: {error.__cause__ or error}"
            ) from error


@asynccontextmanager
async def _census(groups: Sequence[Group], client: Client, runtime: Runtime) -> AsyncIterator[None]:
    """Where rollouts and incidents are decided, they are counted, too."""
    decided = {workflow for group in groups for workflow in group.workflows}
    counting = []
    if Rollout in decided:
        begin_at_zero(runtime.metric_meter, client.namespace)
        counting.append(asyncio.create_task(keep_census(client, runtime.metric_meter), name="census"))
    if Incident in decided:
        incidents_begin_at_zero(runtime.metric_meter, client.namespace)
        counting.append(asyncio.create_task(keep_incident_census(client, runtime.metric_meter), name="incidents"))
    try:
        yield
    finally:
        for census in counting:
            census.cancel()
        if counting:
            await asyncio.wait(counting)


async def _ended(tasks: Sequence[asyncio.Task[None]], bound: timedelta) -> None:
    """Wait for the workers to end. An activity that ignores its cancellation would hold the process for ever."""
    _, late = await asyncio.wait(tasks, timeout=bound.total_seconds())
    if late:
        logger.error("What runs did not end within %s; leaving it to other workers", format_duration(bound))
        await asyncio.to_thread(_send_what_is_left)
        os._exit(1)


def build_worker(
    group: Group,
    client: Client,
    adapters: Adapters,
    interceptors: Sequence[Interceptor] = (),
    version: WorkerDeploymentConfig | None = None,
) -> Worker:
    """The worker of one group, as production runs it."""
    return Worker(
        client,
        task_queue=group.queue,
        workflows=group.workflows,
        activities=group.activities(adapters),
        interceptors=interceptors,
        deployment_config=version,
        max_concurrent_activities=group.concurrent_activities,
        max_concurrent_workflow_tasks=group.concurrent_workflow_tasks,
        max_cached_workflows=group.cached_workflows,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=group.drain,
        sticky_queue_schedule_to_start_timeout=STICKY_PATIENCE,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(group.polls),
        nonsticky_to_sticky_poll_ratio=group.polls_for_new,
    )


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    if settings.build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=settings.deployment_name, build_id=settings.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VERSIONING,
    )


@contextmanager
def _stopped_by_signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop(received: signal.Signals) -> None:
        for each in signals:
            # The kernel's own default from now on, so that a second signal ends even a process that is stuck.
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        logger.info("Stopping on %s: taking no new work, finishing what runs", received.name)
        stopping.set()

    for each in signals:
        loop.add_signal_handler(each, stop, each)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


def _metered_runtime(settings: Settings) -> tuple[Runtime, HostPort]:
    address = f"{settings.worker_metrics_host}:{settings.worker_metrics_port or _free_port()}"
    return temporal_runtime(address), address


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
