"""The front door as a process: its connection to Temporal, its audit log's way to the records, and the server."""

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.front_door import Temporal, front_door
from gateway.rulebook import Rulebook
from gateway.serving import serve
from models.quantities import HostPort
from records.audit_spool import FOLDER, AuditSpool, ship_audit, ship_what_is_left
from records.errors import RecordsError
from records.roles import Recorder
from runtime.client import TemporalUnreachableError, connect, connect_when_up
from runtime.settings import Settings

if TYPE_CHECKING:
    from records.store import RecordStore

FAREWELL = timedelta(seconds=3)
"""For the last audit entries; what the records do not take by then is brought to them by the next process."""

_NEW_OBJECTS, _OLDER_EVERY = 50_000, 5

logger = logging.getLogger(__name__)


async def run_gateway(
    settings: Settings,
    rulebook: Rulebook,
    host: str,
    port: int,
    listening: Callable[[HostPort], None],
    *,
    address: HostPort | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `address` is the local stack's Temporal, used unless settings name one.

    While Temporal is away it serves, too, and answers that. Raises OSError for an address that cannot be listened on,
    TemporalUnreachableError where no address is known, and SettingsError.
    """
    temporal, stopping = Temporal(), asyncio.Event()
    spool = AuditSpool(settings.home.absolute() / FOLDER)
    try:
        temporal.client = await connect(settings, address=address)
    except TemporalUnreachableError as error:
        if not (settings.temporal_address or address or settings.temporal_port):
            raise
        logger.warning("Alerts are answered 503 until Temporal is reached: %s", error)

    async def reach_temporal() -> None:
        if temporal.client is None:
            temporal.client = await connect_when_up(settings, stopping, address=address)
            logger.info("Temporal is reached; alerts are taken")

    async with AsyncExitStack() as opened:

        async def recorder() -> Recorder:
            # In a thread, as loading a database's libraries takes half a second, in which alerts would wait.
            return await opened.enter_async_context(await asyncio.to_thread(_store, settings))

        # By default Python looks for garbage after 700 new objects, which is every few alerts: it took a third of the
        # time. What is loaded by now stays; looked through again and again, it would hold up alerts for tenths of a
        # second.
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS, _OLDER_EVERY, _OLDER_EVERY)
        app = front_door(rulebook, temporal, spool, background=(reach_temporal, lambda: ship_audit(spool, recorder)))
        await serve(app, host, port, listening)
        try:
            async with asyncio.timeout(FAREWELL.total_seconds()):
                await ship_what_is_left(spool, recorder)
        except (RecordsError, OSError, TimeoutError) as error:
            logger.warning("The last audit entries wait in %s: %s", settings.home / FOLDER, str(error) or "no answer")


def _store(settings: Settings) -> "RecordStore":
    from records.store import RecordStore

    return RecordStore(settings.records_url, settings.home.absolute())
