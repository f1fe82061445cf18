"""Writing what happened to the records."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeats import heartbeating
from models.deployment import Done
from models.record import ToRecord
from records.errors import RecordsError
from records.roles import Recorder

SOMEONE_MUST_ACT = timedelta(minutes=1)
"""How long until the next attempt when a person has something to mend first, a password say."""


class RecordActivities:
    """Idempotent: what is written already, or newer there, stays as it is."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.write]

    @activity.defn(name="records.write")
    async def write(self, entries: ToRecord) -> Done:
        with records_errors():
            async with heartbeating():
                await self._recorder.write(entries)
        return Done()


@contextmanager
def records_errors() -> Iterator[None]:
    """Every error is tried again, however long it takes: nothing else will write what is written here."""
    try:
        yield
    except RecordsError as error:
        delay = None if error.retryable else SOMEONE_MUST_ACT
        raise ApplicationError(str(error), type="RecordsError", next_retry_delay=delay) from error
