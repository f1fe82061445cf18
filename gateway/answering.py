"""The gateway as a worker: what only the front door knows, it is asked by way of Temporal."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from activities.held_alerts import HeldAlerts

_AGAIN = timedelta(seconds=2)
_AT_ONCE = 8
"""Questions: each takes milliseconds, in which alerts that come in would wait."""

logger = logging.getLogger(__name__)


async def answer_incidents(client: Callable[[], Client | None], queue: str, held: HeldAlerts) -> None:
    """For ever, once Temporal is reached."""
    while True:
        connected = client()
        if connected is not None:
            await _answer(connected, queue, held)
        await asyncio.sleep(_AGAIN.total_seconds())


async def _answer(client: Client, queue: str, held: HeldAlerts) -> None:
    try:
        await Worker(client, task_queue=queue, activities=held.registered, max_concurrent_activities=_AT_ONCE).run()
    except Exception as error:  # noqa: BLE001 - whatever it is, alerts are to be taken in meanwhile
        logger.warning("Held alerts are not looked at; tried again: %s", error)
