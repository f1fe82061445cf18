"""The concrete adapters, made from settings. No other file names one."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from providers.envoy_metrics import EnvoyMetrics
from providers.envoy_router import EnvoyRouter
from providers.http_metrics import HttpMetrics
from providers.lease_ledger import LeaseLedger
from providers.notify_console import ConsoleNotifier
from providers.notify_webhook import WebhookNotifier
from providers.process_deployer import ProcessDeployer
from providers.prometheus_history import PrometheusHistory
from providers.prometheus_metrics import PrometheusMetrics
from providers.prometheus_series import PrometheusSeries
from providers.roles import (
    Deployer,
    LeaseKeeper,
    MetricHistory,
    MetricSource,
    Notifier,
    Progress,
    SeriesSource,
    TrafficRouter,
)
from records.evidence_spool import FOLDER, EvidenceSpool, SampleStore, ship
from records.roles import EvidenceLog, Recorder
from runtime.envoy_admin import envoy_admin
from runtime.secrets import resolve_secrets
from runtime.settings import Settings

if TYPE_CHECKING:
    from records.store import RecordStore


class Adapters:
    """Adapters by the provider's name in the catalog, each made when a group first asks for it.

    An async context manager: leaving it closes what was opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home.absolute()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    @cached_property
    def deployers(self) -> Mapping[str, Deployer]:
        return {"process": self.process_deployer}

    @cached_property
    def routers(self) -> Mapping[str, TrafficRouter]:
        return {"envoy": self.envoy_router}

    @cached_property
    def metric_sources(self) -> Mapping[str, MetricSource]:
        secrets = partial(resolve_secrets, environ=os.environ)
        envoy = EnvoyMetrics(envoy_admin(self._settings))
        prometheus, http = PrometheusMetrics(secrets), HttpMetrics(secrets)
        for source in (envoy, prometheus, http):
            self._opened.push_async_callback(source.aclose)
        return {"envoy": envoy, "prometheus": prometheus, "http": http}

    @cached_property
    def metric_histories(self) -> Mapping[str, MetricHistory]:
        """Of those sources that remember instances."""
        prometheus = PrometheusHistory(partial(resolve_secrets, environ=os.environ))
        self._opened.push_async_callback(prometheus.aclose)
        return {"prometheus": prometheus}

    @cached_property
    def series_source(self) -> SeriesSource:
        prometheus = PrometheusSeries(partial(resolve_secrets, environ=os.environ))
        self._opened.push_async_callback(prometheus.aclose)
        return prometheus

    @cached_property
    def lease_keeper(self) -> LeaseKeeper:
        return LeaseLedger(self._home / "keeper")

    @cached_property
    def process_deployer(self) -> ProcessDeployer:
        deployer = ProcessDeployer(self._home / "instances", partial(resolve_secrets, environ=os.environ))
        self._opened.push_async_callback(deployer.aclose)
        return deployer

    @cached_property
    def envoy_router(self) -> EnvoyRouter:
        router = EnvoyRouter(self._home / "envoy", envoy_admin(self._settings))
        self._opened.push_async_callback(router.aclose)
        return router

    @cached_property
    def records(self) -> Recorder:
        return self._store

    @cached_property
    def _store(self) -> "RecordStore":
        """Its tables are brought up to date in the background, as soon as the database is there."""
        from records.waiting import migrate_when_up

        store = self._record_store()
        self._opened.push_async_callback(store.aclose)
        self._opened.push_async_callback(_cancelled, asyncio.create_task(migrate_when_up(store)))
        return store

    @cached_property
    def notifiers(self) -> Mapping[str, Notifier]:
        webhook = WebhookNotifier(partial(resolve_secrets, environ=os.environ))
        self._opened.push_async_callback(webhook.aclose)
        return {"console": ConsoleNotifier(self._store), "webhook": webhook}

    @cached_property
    def evidence_log(self) -> EvidenceLog:
        """What it keeps on this host is brought to the records in the background, whenever the database is there."""
        spool = EvidenceSpool(self._home / FOLDER)
        self._opened.push_async_callback(_cancelled, asyncio.create_task(self._ship(spool)))
        return spool

    async def _ship(self, spool: EvidenceSpool) -> None:
        async with AsyncExitStack() as opened:

            async def store() -> SampleStore:
                # In a thread, as loading a database's libraries takes half a second, and a watch looks every second.
                return await opened.enter_async_context(await asyncio.to_thread(self._record_store))

            await ship(spool, store)

    def _record_store(self) -> "RecordStore":
        from records.store import RecordStore  # other workers, and the command, do without a database's libraries

        return RecordStore(self._settings.records_url, self._home)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def restore_instances(settings: Settings, say: Progress) -> None:
    """Start again what ran when the local stack was halted, and tell the router where it answers now.

    An instance that does not come up is said and left for the next rollout; the others are still restored.
    """
    async with Adapters(settings) as adapters:
        for item in await adapters.process_deployer.restore(say):
            if item.problem:
                say(f"{item.ref} {item.version} was not restored: {item.problem}")
            if item.instances:
                addresses = [instance.address for instance in item.instances]
                await adapters.envoy_router.refresh(item.ref, item.version, addresses)


async def halt_instances(settings: Settings, say: Progress) -> None:
    """Stop every instance of this home folder, remembering which ran."""
    async with Adapters(settings) as adapters:
        await adapters.process_deployer.halt_all(say)
