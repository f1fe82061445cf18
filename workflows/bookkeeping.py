"""Keeping the records of a workflow while it runs, without ever making it wait for them."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from models.ids import recording_id
    from models.record import RolloutRecord, ToRecord
    from workflows.recording import hand_over, write
    from workflows.undo import shielded

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Bookkeeping:
    """While the workflow runs, at most one write is under way, and after it always the newest picture: a database
    that is away for days adds no event, as an attempt that failed is none.
    """

    def __init__(self) -> None:
        self._revision = 0
        self._audited = 0
        self._newest: RolloutRecord | None = None
        self._writing: asyncio.Task[None] | None = None

    def update(self, record: RolloutRecord) -> None:
        """Have this picture written in the background; its revision is set here. Not after `finish`.

        `audit` is to hold every entry so far, in order: those that are written are not sent again.
        """
        self._newest = self._stamped(record)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_until_newest())

    async def finish(self, record: RolloutRecord) -> None:
        """Hand the last picture to a workflow of its own, which outlives this one; wait only until that is begun.

        A cancellation waits for it. A write under way is left alone: whenever it arrives, the greater revision wins.
        """
        await shielded(self._finish(self._stamped(record)))

    async def _finish(self, last: RolloutRecord) -> None:
        self._newest = None
        await hand_over(
            self._unsent(last),
            recording=recording_id(last.workflow_id, last.run_id, last.revision),
            summary=f"record {last.strategy} {last.ref.service} {last.version} → {last.ref.environment}",
        )

    async def _write_until_newest(self) -> None:
        written = None
        while self._newest is not None and self._newest is not written:
            picture = self._newest
            try:
                await write(self._unsent(picture))
            except ActivityError as error:
                workflow.logger.warning("A picture was not recorded; the last one will be: %s", error.cause or error)
                return
            written, self._audited = picture, len(picture.audit)

    def _unsent(self, picture: RolloutRecord) -> ToRecord:
        return ToRecord(rollout=picture.model_copy(update={"audit": picture.audit[self._audited :]}))

    def _stamped(self, record: RolloutRecord) -> RolloutRecord:
        """The time in microseconds, so that it also grows over a reset, and always greater than the one before."""
        self._revision = max(self._revision + 1, (workflow.now() - _EPOCH) // _MICROSECOND)
        return record.model_copy(update={"revision": self._revision})
