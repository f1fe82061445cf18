"""Audit entries on this host, until they are in the records: whoever answers a request never waits for a database.

Each process holds a file of its own, locked for as long as it appends to it. Who ships takes the files that nobody
holds: its own earlier ones, and those of processes that died. An entry that is shipped twice is there once, by its key.
A line that cannot be read is kept aside, for people: nothing of the audit log is thrown away unread.
"""

import asyncio
import fcntl
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from models.audit import AuditEntry
from models.record import ToRecord
from records.errors import RecordsError
from records.roles import Recorder
from records.spool_files import RefusedLast, write_whole

FOLDER = "audit"
"""In the home folder."""

MOST_BYTES = 256 * 1024 * 1024
"""Of all files together, beyond which entries are logged only. One takes about 400 bytes."""

EVERY = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=30)
BATCH = 200
"""Entries in one transaction."""

ASIDE = ".unreadable"
"""What the name of a file ends with that has such lines of an audit file as could not be read."""

logger = logging.getLogger(__name__)


class AuditSpool:
    """Several processes may use one folder at once; one of this class belongs to one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = uuid.uuid4().hex[:12]
        self._turn = 0
        self._number: int | None = None
        self._said = False
        self.full = False

    def add(self, entry: AuditEntry) -> None:
        """Keep it on this host. Never raises: what cannot be kept stands in the log."""
        line = entry.model_dump_json() + "\n"
        try:
            write_whole(self._current(), line.encode())
            self._said = False
        except OSError as error:
            if not self._said:
                logger.error("Audit entries cannot be kept in %s and stand here only: %s", self._folder, error)  # noqa: TRY400
            self._said = True
            logger.warning("Audit: %s", line.rstrip())

    def turn(self) -> None:
        """Let go of the file that was appended to, so that it can be shipped."""
        if self._number is not None:
            os.close(self._number)
            self._number = None
            self._turn += 1

    def files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _current(self) -> int:
        """Raises OSError."""
        if self.full:
            raise OSError(f"{MOST_BYTES} bytes of entries wait already")
        if self._number is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{self._mine}-{self._turn:06d}.jsonl"
            number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(number, fcntl.LOCK_EX)
            self._number = number
        return self._number


async def ship_audit(spool: AuditSpool, opened: Callable[[], Awaitable[Recorder]], every: timedelta = EVERY) -> None:
    """Bring entries to the records, for ever. `opened` is called once there is something to ship."""
    shipment, pause = _Shipment(spool, opened), every
    while True:
        spool.turn()
        try:
            await shipment.round()
        except (RecordsError, OSError) as error:
            if pause == every:
                logger.warning("Audit entries wait in their files: %s", error)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            pause = every
        spool.full = await asyncio.to_thread(_size_of, spool) > MOST_BYTES
        await asyncio.sleep(pause.total_seconds())


async def ship_what_is_left(spool: AuditSpool, opened: Callable[[], Awaitable[Recorder]]) -> None:
    """Raises RecordsError and OSError; what is left then is shipped by whoever comes next."""
    spool.turn()
    await _Shipment(spool, opened).round()


class _Shipment:
    def __init__(self, spool: AuditSpool, opened: Callable[[], Awaitable[Recorder]]) -> None:
        self._spool = spool
        self._opened = opened
        self._recorder: Recorder | None = None
        self._refused = RefusedLast()

    async def round(self) -> None:
        """Ship every file once. A file that is refused is tried last in the next round."""
        for path in self._refused.order(await asyncio.to_thread(self._spool.files)):
            self._recorder = self._recorder or await self._opened()
            try:
                await _ship_one(path, self._recorder)
            except (RecordsError, OSError):
                self._refused.refuse(path)
                raise


async def _ship_one(path: Path, recorder: Recorder) -> None:
    with _unheld(path) as mine:
        if not mine:
            return
        entries, unreadable = await asyncio.to_thread(_parsed, path)
        for first in range(0, len(entries), BATCH):
            await recorder.write(ToRecord(audit=entries[first : first + BATCH]))
        if unreadable:
            await asyncio.to_thread(_keep_aside, path, unreadable)
        await asyncio.to_thread(path.unlink, missing_ok=True)


@contextmanager
def _unheld(path: Path) -> Iterator[bool]:
    """Whether nobody appends to it, and nobody else ships it; held meanwhile."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    try:
        yield not held
    finally:
        os.close(number)


def _parsed(path: Path) -> tuple[tuple[AuditEntry, ...], tuple[bytes, ...]]:
    """The entries, and the lines that are none. The last one may be half, where its writer was killed."""
    entries: list[AuditEntry] = []
    unreadable: list[bytes] = []
    for line in path.read_bytes().splitlines():
        try:
            entries.append(AuditEntry.model_validate_json(line))
        except ValidationError as error:
            unreadable.append(line)
            logger.warning("An audit entry in %s cannot be read: %s", path.name, error.errors()[0]["msg"])
    return tuple(entries), tuple(unreadable)


def _keep_aside(path: Path, lines: tuple[bytes, ...]) -> None:
    """Raises OSError; then the file stays as it is, to be shipped again."""
    aside = path.with_suffix(ASIDE)
    aside.write_bytes(b"".join(line + b"\n" for line in lines))
    logger.error("%d audit entries that cannot be read are kept in %s; look at them and remove it", len(lines), aside)


def _size_of(spool: AuditSpool) -> int:
    total = 0
    for path in spool.files():
        with suppress(OSError):
            total += path.stat().st_size
    return total
