"""What a worker does about its records when it starts."""

import asyncio
import logging
from datetime import timedelta

from models.quantities import format_duration
from records.errors import RecordsError
from records.store import RecordStore

FIRST_PAUSE = timedelta(milliseconds=250)
LONGEST_PAUSE = timedelta(seconds=30)
"""Only until the log says so again: a write that is due tries by itself, and so needs none of this."""

logger = logging.getLogger(__name__)


async def migrate_when_up(store: RecordStore) -> None:
    """Bring the tables up to date, however long the database takes to be there."""
    pause = FIRST_PAUSE
    while True:
        try:
            found = await store.migrate()
        except RecordsError as error:
            logger.warning("Waiting for the records: %s", error, extra={"next_attempt": format_duration(pause)})
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            if not found.current:
                logger.info("The records in %s were brought from %s to %s", store, found.found, found.wanted)
            return
