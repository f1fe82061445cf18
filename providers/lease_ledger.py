"""The keeper's ledger: a folder that the workers of a host write leases into, and its keeper carries out.

A lease is on the disk before the effect that it is for. It needs neither Temporal nor a network: what is written is
carried out by the keeper whoever else lives.
"""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from models.keeper import HostTime, LeaseKey, LeaseStanding, LeaseState
from models.keeper_ledger import Lease, LeaseRecord
from providers.errors import ProviderError
from providers.host_clock import host_time, wall_time
from providers.lease_files import Entries, LeaseFiles, Lock, locked, still_held, try_lock

_PATIENCE = 10.0
"""Longer than the keeper takes for one attempt at an undo, during which it holds the lease."""

_KEEPER_PATIENCE = 0.5
_KEEPER_POLL = 0.02
_FORMER_RUNS = 16


class LeaseRefusedError(ProviderError):
    """The key is another's, or what asks is late."""


class AlreadyKeptError(ProviderError):
    """Another keeper serves this ledger."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Another keeper already serves {folder}; one is enough for a host.", retryable=False)


class LeaseLedger:
    """A LeaseKeeper. Its methods may be called by many tasks and processes at once; all raise ProviderError."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], HostTime] = host_time,
        wall: Callable[[], datetime] = wall_time,
    ) -> None:
        self._folder = folder.absolute()
        self._files = LeaseFiles(self._folder)
        self._clock = clock
        self._wall = wall

    async def arm(self, lease: Lease, *, take_over: bool = False) -> LeaseStanding:
        return await asyncio.to_thread(self._arm, lease, take_over)

    async def renew(self, lease: LeaseKey) -> LeaseStanding:
        return await asyncio.to_thread(self._renew, lease)

    async def settle(self, lease: LeaseKey) -> LeaseStanding:
        return await asyncio.to_thread(self._settle, lease)

    async def entries(self) -> Entries:
        """Every lease, settled ones included, and what is damaged."""
        return await asyncio.to_thread(self._files.entries)

    @asynccontextmanager
    async def acting(self, key: str) -> AsyncIterator[LeaseRecord | None]:
        """Hold a lease while its undo is carried out, so that it is not settled meanwhile; gives what it is now."""
        path = self._files.lock_of(key)
        deadline = time.monotonic() + _KEEPER_PATIENCE
        while (lock := try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise still_held(path, _KEEPER_PATIENCE)
            await asyncio.sleep(_KEEPER_POLL)
        try:
            yield await asyncio.to_thread(self._files.read, key)
        finally:
            lock.release()

    async def write(self, record: LeaseRecord) -> None:
        """Replace a record whose lease is held by `acting`."""
        await asyncio.to_thread(self._files.write, record)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Be the one keeper of this ledger. Raises AlreadyKeptError."""
        lock = _within(_KEEPER_PATIENCE, self._files.keeper_lock)
        if lock is None:
            raise AlreadyKeptError(self._folder)
        try:
            yield
        finally:
            lock.release()

    def is_served(self) -> bool:
        """Whether a keeper lives that would carry out what is armed."""
        lock = try_lock(self._files.keeper_lock, fcntl.LOCK_SH)
        if lock is None:
            return True
        lock.release()
        return False

    def _arm(self, lease: Lease, take_over: bool) -> LeaseStanding:
        if not self.is_served():
            raise ProviderError(
                f"No keeper serves {self._folder}, so nobody would carry out what {lease.key} is armed for. "
                "Start `holdfast keeper` on this host; `holdfast up` does.",
                retryable=True,
            )
        with locked(self._files.lock_of(lease.key), _PATIENCE):
            now = self._files.read(lease.key)
            if now and now.lease.holder == lease.holder:
                _refuse_late(lease, now)
                if now.lease.epoch == lease.epoch and now.lapsed_at:
                    return now.standing()
            elif now:
                _refuse_unless_free(lease, now, take_over=take_over)
            record = LeaseRecord(
                lease=lease.name(),
                undo=lease.undo,
                deadline=self._clock().later(lease.duration),
                armed_at=self._wall(),
                lapsed_before=_lapsed_before(lease, now),
                former_runs=_former_runs(lease, now),
            )
            self._files.write(record)
        return self._held(lease).model_copy(update={"lapsed_before": record.lapsed_before})

    def _renew(self, lease: LeaseKey) -> LeaseStanding:
        early = self._answer(lease, self._files.read(lease.key))
        if early:  # without waiting for the keeper, which holds the lease while it carries it out
            return early
        with locked(self._files.lock_of(lease.key), _PATIENCE):
            now = self._files.read(lease.key)
            answer = self._answer(lease, now)
            if answer or now is None:
                return answer or LeaseStanding(state=LeaseState.GONE)
            self._files.write(now.model_copy(update={"deadline": self._clock().later(lease.duration)}))
        return self._held(lease)

    def _answer(self, lease: LeaseKey, now: LeaseRecord | None) -> LeaseStanding | None:
        """What there is to say instead of renewing."""
        if now is None or (now.lease.holder == lease.holder and now.lease.epoch < lease.epoch):
            return LeaseStanding(state=LeaseState.GONE)
        if now.lease.holder != lease.holder or now.lease.epoch > lease.epoch:
            return LeaseStanding(state=LeaseState.OTHERS, held_by=now.lease.holder)
        standing = now.standing()
        return None if standing.state is LeaseState.HELD else standing

    def _settle(self, lease: LeaseKey) -> LeaseStanding:
        with locked(self._files.lock_of(lease.key), _PATIENCE):
            now = self._files.read(lease.key)
            if now and now.lease.holder == lease.holder:
                if now.lease.epoch > lease.epoch:
                    return LeaseStanding(state=LeaseState.OTHERS, held_by=now.lease.holder)
                if now.settled_at and now.lease.epoch == lease.epoch:
                    return now.standing()
            elif now and not _is_free(lease, now):
                return LeaseStanding(state=LeaseState.OTHERS, held_by=now.lease.holder)
            settled = self._settled(lease, now)
            self._files.write(settled)
        return settled.standing()

    def _settled(self, lease: LeaseKey, now: LeaseRecord | None) -> LeaseRecord:
        """Of the epoch and the run that settle, so that an arming of theirs, or of an earlier one, comes too late."""
        if now and now.lease.holder == lease.holder:
            return now.model_copy(update={"lease": lease, "settled_at": self._wall()})
        return LeaseRecord(
            lease=lease,
            undo=None,
            deadline=self._clock(),
            armed_at=self._wall(),
            settled_at=self._wall(),
            former_runs=_former_runs(lease, now),
        )

    def _held(self, lease: LeaseKey) -> LeaseStanding:
        return LeaseStanding(state=LeaseState.HELD, lapses_at=self._wall() + lease.duration)


def _refuse_late(lease: Lease, now: LeaseRecord) -> None:
    settled = now.settled_at and now.lease.epoch == lease.epoch
    if settled or lease.epoch < now.lease.epoch:
        what = "was settled already" if settled else f"is past: epoch {now.lease.epoch} came after it"
        raise LeaseRefusedError(
            f"{lease.key} is not armed for epoch {lease.epoch} of {lease.holder}, as that {what}. "
            "This call is late; there is nothing to do.",
            retryable=False,
        )


def _refuse_unless_free(lease: Lease, now: LeaseRecord, *, take_over: bool) -> None:
    if lease.holder.run_id in now.former_runs:
        raise LeaseRefusedError(
            f"{lease.key} is not armed for {lease.holder}: {now.lease.holder} took it over. "
            "This call is late; there is nothing to do.",
            retryable=False,
        )
    if not (_is_free(lease, now) or now.carried_out_at or take_over):
        raise LeaseRefusedError(
            f"{lease.key} is held by {now.lease.holder}. End that workflow; once nobody renews the lease it lapses "
            "by itself.",
            retryable=True,
        )


def _is_free(lease: LeaseKey, now: LeaseRecord) -> bool:
    """Whether another run's lease is settled, or an earlier run's of the same workflow: that one has ended."""
    if lease.holder.run_id in now.former_runs:
        return False
    return now.settled_at is not None or now.lease.holder.workflow_id == lease.holder.workflow_id


def _lapsed_before(lease: Lease, now: LeaseRecord | None) -> datetime | None:
    """The same however often it is armed, as the answer to the first call may be lost."""
    if now is None or now.lease.holder != lease.holder or now.settled_at:
        return None
    return now.lapsed_before if now.lease.epoch == lease.epoch else now.lapsed_at


def _former_runs(lease: LeaseKey, now: LeaseRecord | None) -> tuple[str, ...]:
    if now is None:
        return ()
    former = now.former_runs
    if now.lease.holder != lease.holder:
        former = (*former, now.lease.holder.run_id)
    return former[-_FORMER_RUNS:]


def _within(seconds: float, path: Path) -> Lock | None:
    """The lock, which those who ask whether there is a keeper hold for a moment."""
    deadline = time.monotonic() + seconds
    while (lock := try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_KEEPER_POLL)
    return lock
