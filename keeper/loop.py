"""The keeper's work: look at the ledger each second, and carry out what nobody renewed."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from analysis.leases import time_left
from keeper.status import Status
from keeper.undoing import Undoing
from models.keeper import HostTime
from models.keeper_ledger import LeaseRecord, Undo
from providers.disk_reserve import DiskReserve
from providers.errors import ProviderError
from providers.host_clock import host_time, wall_time
from providers.lease_ledger import LeaseLedger

TICK = timedelta(seconds=1)
"""A failed undo is tried again, and a late write noticed, after this long; a deadline is met to the moment."""

FAREWELL = timedelta(seconds=5)

logger = logging.getLogger(__name__)

Attempt = tuple[str, str, int]
"""Key, run and epoch: one lease from its arming to its end."""


class Keeper:
    """Each lease is carried out by a task of its own, so that none waits for another.

    An undo that was carried out is kept in force until the lease is settled or armed anew. Should the ledger's disk
    refuse the note that a lease lapsed, it is carried out nonetheless, with the space that was held back, and the note
    is tried again.
    """

    def __init__(
        self,
        ledger: LeaseLedger,
        undoing: Undoing,
        status: Status,
        reserve: DiskReserve,
        *,
        clock: Callable[[], HostTime] = host_time,
        wall: Callable[[], datetime] = wall_time,
    ) -> None:
        self._ledger = ledger
        self._undoing = undoing
        self._status = status
        self._reserve = reserve
        self._clock = clock
        self._wall = wall
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._lapsed: dict[Attempt, datetime] = {}
        self._in_force: dict[Attempt, datetime] = {}
        self._troubles: dict[str, str] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop; what is being carried out then has some seconds to be finished."""
        wait = await self._look()
        if self._at_work:
            await asyncio.wait(self._at_work.values(), timeout=FAREWELL.total_seconds())
        self._status.serving()
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait.total_seconds())
                break
            wait = await self._look()
        self._status.stopping()
        for task in await self._late():
            task.cancel()

    async def _late(self) -> set[asyncio.Task[None]]:
        if not self._at_work:
            return set()
        _, late = await asyncio.wait(self._at_work.values(), timeout=FAREWELL.total_seconds())
        return late

    async def _look(self) -> timedelta:
        """Set to work on what is due; return how long until there may be more to do."""
        try:
            records, damaged = await self._ledger.entries()
        except ProviderError as error:
            self._trouble("the ledger", str(error))
            return TICK
        self._calm("the ledger")
        for sentence in damaged:
            self._trouble(sentence, sentence)
        self._forget_all_but(records, damaged)
        wait = TICK
        for record in records:
            if record.settled_at is None:
                left = self._left(record)
                wait = min(wait, left) if left else wait
                if not left:
                    self._set_to_work(record)
        held = sum(record.settled_at is None for record in records) - len(self._at_work)
        if not self._at_work:
            await asyncio.to_thread(self._reserve.keep)
        self._status.saw(held=held, lapsed=len(self._at_work), troubles=tuple(self._troubles.values()))
        return wait

    def _left(self, record: LeaseRecord) -> timedelta:
        if record.lapsed_at or _attempt(record) in self._lapsed:
            return timedelta(0)
        return time_left(record.deadline, record.lease.duration, self._clock())

    def _set_to_work(self, record: LeaseRecord) -> None:
        key = record.lease.key
        if key not in self._at_work:
            task = asyncio.create_task(self._enforce(key), name=key)
            self._at_work[key] = task
            task.add_done_callback(lambda _: self._at_work.pop(key))

    async def _enforce(self, key: str) -> None:
        try:
            async with self._ledger.acting(key) as record:
                if record is None or record.undo is None or record.settled_at or self._left(record):
                    return  # settled or renewed in this moment
                lapsed_at = await self._note_lapse(record)
                done_at = await self._undo(record, record.undo)
                if record.lapsed_at is None or record.carried_out_at is None:
                    times = {"lapsed_at": lapsed_at, "carried_out_at": done_at}
                    await self._ledger.write(record.model_copy(update=times))
        except (ProviderError, OSError) as error:
            self._trouble(key, str(error))
        except Exception:
            # A fault of ours in one lease must not end the keeper, and so the others.
            logger.exception("Carrying out %s failed; it is tried again", key)
        else:
            self._calm(key)

    async def _note_lapse(self, record: LeaseRecord) -> datetime:
        """Write down that it lapsed before anything is done, so that its holder learns of it whatever dies now."""
        attempt = _attempt(record)
        if record.lapsed_at:
            return self._lapsed.setdefault(attempt, record.lapsed_at)
        if attempt not in self._lapsed:
            logger.warning("Nobody renewed %s in time: %s", record.lease.key, record.undo, extra=_facts(record))
        lapsed_at = self._lapsed.setdefault(attempt, self._wall())
        noted = record.model_copy(update={"lapsed_at": lapsed_at})
        try:
            await self._ledger.write(noted)
        except ProviderError as error:
            self._trouble(record.lease.key, str(error))
            await asyncio.to_thread(self._reserve.give_up)
            with suppress(ProviderError):
                await self._ledger.write(noted)
        return lapsed_at

    async def _undo(self, record: LeaseRecord, undo: Undo) -> datetime:
        attempt = _attempt(record)
        done_at = self._in_force.get(attempt)
        if done_at and await self._undoing.holds(undo):
            return done_at
        if done_at:
            logger.warning(
                "Somebody changed what %s had undone: %s again", record.lease.key, undo, extra=_facts(record)
            )
        await self._undoing.carry_out(undo)
        if done_at is None:
            self._status.carried_one_out()
            logger.warning("Carried out %s: %s", record.lease.key, undo, extra=_facts(record))
        return self._in_force.setdefault(attempt, record.carried_out_at or self._wall())

    def _trouble(self, about: str, sentence: str) -> None:
        """Say it once, not each second."""
        if self._troubles.get(about) != sentence:
            self._troubles[about] = sentence
            logger.error("%s", sentence)

    def _calm(self, about: str) -> None:
        self._troubles.pop(about, None)

    def _forget_all_but(self, records: tuple[LeaseRecord, ...], damaged: tuple[str, ...]) -> None:
        live = {_attempt(record) for record in records if record.settled_at is None}
        for known in (self._lapsed, self._in_force):
            for attempt in known.keys() - live:
                del known[attempt]
        kept = {"the ledger", *damaged, *(key for key, _, _ in live), *self._at_work}
        for about in self._troubles.keys() - kept:
            del self._troubles[about]


def _attempt(record: LeaseRecord) -> Attempt:
    lease = record.lease
    return lease.key, lease.holder.run_id, lease.epoch


def _facts(record: LeaseRecord) -> dict[str, object]:
    lease = record.lease
    return {"workflow_id": lease.holder.workflow_id, "run_id": lease.holder.run_id, "epoch": lease.epoch}
