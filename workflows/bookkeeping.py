"""Keeping the records of a workflow while it runs, without ever making it wait for them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from models.ids import recording_id
    from models.record import IncidentPicture, RolloutRecord, ToRecord, sliced
    from workflows.interruption import shielded
    from workflows.recording import hand_over, write

PATIENCE = timedelta(seconds=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


Picture = TypeVar("Picture", RolloutRecord, IncidentPicture)


class Bookkeeping(Generic[Picture]):
    """While the workflow runs, at most one write is under way, and after it always the newest picture: a database
    that is away for days adds no event, as an attempt that failed is none.

    `entries` tells what is to be written of a picture when an earlier one is written; each picture is to hold all of
    them, in order. While `busy` says so a picture waits for the next, though never longer than `PATIENCE`. One with
    more entries than Temporal carries at once is written in slices.
    """

    def __init__(
        self,
        entries: Callable[[Picture, Picture | None], ToRecord],
        busy: Callable[[], bool] | None = None,
    ) -> None:
        self._entries: Callable[[Picture, Picture | None], ToRecord] = entries
        self._busy = busy or _never
        self._revision = 0
        self._written: Picture | None = None
        self._newest: Picture | None = None
        self._writing: asyncio.Task[None] | None = None

    def update(self, record: Picture) -> None:
        """Have this picture written in the background; its revision is set here."""
        self._newest = self._stamped(record)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_until_newest())

    async def finish(self, record: Picture, summary: str) -> None:
        """Hand the last picture to a workflow of its own, which outlives this one; wait only until that is begun.

        A cancellation waits for it. A write under way is left alone: whenever it arrives, the greater revision wins.
        """
        await shielded(self._finish(self._stamped(record), summary))

    async def _finish(self, last: Picture, summary: str) -> None:
        self._newest = None
        for number, part in enumerate(sliced(self._entries(last, self._written))):
            self._revision = last.revision + number
            recording = recording_id(last.workflow_id, last.run_id, self._revision)
            await hand_over(part, recording=recording, summary=summary)

    async def _write_until_newest(self) -> None:
        await self._until_quiet()
        written = None
        while self._newest is not None and self._newest is not written:
            picture = self._newest
            try:
                for part in sliced(self._entries(picture, self._written)):
                    await write(part)
            except ActivityError as error:
                workflow.logger.warning("A picture was not recorded; the last one will be: %s", error.cause or error)
                return
            written = self._written = picture

    async def _until_quiet(self) -> None:
        if self._busy():
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: not self._busy(), timeout=PATIENCE.total_seconds())

    def _stamped(self, record: Picture) -> Picture:
        """The time in microseconds, so that it also grows over a reset, and always greater than the one before."""
        self._revision = max(self._revision + 1, (workflow.now() - _EPOCH) // _MICROSECOND)
        return record.model_copy(update={"revision": self._revision})


def _never() -> bool:
    return False
