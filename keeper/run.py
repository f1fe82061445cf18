"""The life of a keeper process."""

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor

from keeper.loop import Keeper
from keeper.metrics import serving_metrics
from keeper.status import Status
from keeper.undoing import Undoing
from providers.disk_reserve import DiskReserve
from providers.envoy_router import EnvoyRouter
from providers.lease_ledger import LeaseLedger
from runtime.envoy_admin import envoy_admin
from runtime.health import serving_health
from runtime.settings import Settings

_THREADS = 64
"""Writes that wait for somebody's lock must not keep others from being written; threads are made when needed."""

logger = logging.getLogger(__name__)


async def run_keeper(settings: Settings) -> None:
    """Keep the ledger of this home until SIGTERM or SIGINT.

    Raises EnvoyUnknownError, AlreadyKeptError when another keeper serves it, ProviderError when the ledger cannot be
    used, and OSError for a taken port.
    """
    home, admin = settings.home.absolute(), envoy_admin(settings)
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="keeper"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    ledger, status = LeaseLedger(home / "keeper"), Status()
    reserve = DiskReserve(home / "keeper" / "reserve")
    router = EnvoyRouter(home / "envoy", admin)
    port, setting = settings.keeper_health_port, "HOLDFAST_KEEPER_HEALTH_PORT"
    try:
        with (
            ledger.serving(),
            serving_health(status, port, setting=setting) as health,
            serving_metrics(status, settings.worker_metrics_host, settings.keeper_metrics_port) as metrics,
        ):
            where = {"ledger": str(home / "keeper"), "health": health, "metrics": metrics, "envoy": admin}
            logger.info("Keeper started", extra=where)
            await Keeper(ledger, Undoing({"envoy": router}), status, reserve).run(stopping)
            logger.info("Keeper stopped")
    finally:
        await router.aclose()
