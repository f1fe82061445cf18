"""Alerts that open nothing: why, handed to Temporal, which brings it to the records however long those are away."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client

from models.audit import AuditEntry
from models.ids import suppression_recording_id
from models.record import ToRecord
from models.temporal_names import RECORDING_WORKFLOW, TaskQueue

_MOST = 500
"""Entries of one workflow: some 300 KB."""


class Suppressions:
    """What comes while one workflow is being started goes with the next: a storm of silenced alerts is few of them."""

    def __init__(self, rpc_timeout: timedelta) -> None:
        self._rpc_timeout = rpc_timeout
        self._waiting: list[tuple[AuditEntry, asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def keep(self, client: Client, entries: Sequence[AuditEntry]) -> None:
        """Return once Temporal has them. Raises RPCError."""
        loop = asyncio.get_running_loop()
        kept = [loop.create_future() for _ in entries]
        self._waiting.extend(zip(entries, kept, strict=True))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(client))
        await asyncio.gather(*kept)

    async def _send(self, client: Client) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            error = await self._start(client, tuple(entry for entry, _ in batch))
            for _, kept in batch:
                if kept.done():  # nobody waits for it any more
                    continue
                if error is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(error)

    async def _start(self, client: Client, entries: tuple[AuditEntry, ...]) -> Exception | None:
        try:
            await client.start_workflow(
                RECORDING_WORKFLOW,
                ToRecord(audit=entries),
                id=suppression_recording_id(str(uuid.uuid4())),
                task_queue=TaskQueue.RECORDS,
                static_summary=f"record {len(entries)} alerts that open nothing",
                rpc_timeout=self._rpc_timeout,
            )
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            return error
        return None
