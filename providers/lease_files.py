"""The files of the keeper's ledger, and their locks.

leases/<key>.json    one record, replaced as a whole; `/` in the key is written %2F
leases/<key>.lock    held by whoever changes the record, and by the keeper while it carries the undo out
keeper.lock          held by the keeper for as long as it serves the ledger

Every function blocks for milliseconds. The kernel lets a lock go when its holder dies.
"""

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from pydantic import ValidationError

from models.keeper_ledger import LeaseRecord
from providers.durable_files import replace_durably
from providers.errors import ProviderError

_POLL = 0.005


class Entries(NamedTuple):
    """`damaged` has a sentence for each file that cannot be read."""

    records: tuple[LeaseRecord, ...]
    damaged: tuple[str, ...]


class LeaseFiles:
    """All raise ProviderError (retryable)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._leases = self._folder / "leases"

    @property
    def keeper_lock(self) -> Path:
        return self._folder / "keeper.lock"

    def lock_of(self, key: str) -> Path:
        return self._leases / f"{quote(key, safe='')}.lock"

    def read(self, key: str) -> LeaseRecord | None:
        """None where there is no record, or one that cannot be read: `entries` tells of those."""
        try:
            return LeaseRecord.model_validate_json(self._path(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise disk_trouble(self._path(key), "read", error) from error

    def write(self, record: LeaseRecord) -> None:
        """It is on the disk when this returns; when this raises, the former record is still there."""
        path = self._path(record.lease.key)
        try:
            replace_durably(path, record.model_dump_json(indent=1))
        except OSError as error:
            raise disk_trouble(path, "written", error) from error

    def entries(self) -> Entries:
        records, damaged = [], []
        try:
            paths = sorted(self._leases.glob("*.json"))
        except OSError as error:
            raise disk_trouble(self._leases, "listed", error) from error
        for path in paths:
            try:
                record = LeaseRecord.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                continue
            except (ValidationError, OSError) as error:
                damaged.append(_damage(path, error))
                continue
            if path == self._path(record.lease.key):
                records.append(record)
            else:
                damaged.append(_damage(path, ValueError(f"it holds the lease {record.lease.key}")))
        return Entries(tuple(records), tuple(damaged))

    def _path(self, key: str) -> Path:
        return self._leases / f"{quote(key, safe='')}.json"


class Lock:
    """A lock that is held until it is released."""

    def __init__(self, handle: TextIOWrapper) -> None:
        self._handle = handle

    def release(self) -> None:
        self._handle.close()


def try_lock(path: Path, kind: int = fcntl.LOCK_EX) -> Lock | None:
    """The lock, to be released; None while somebody else holds it. Raises ProviderError (retryable)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    except OSError as error:
        raise disk_trouble(path, "opened", error) from error
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return Lock(handle)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock; wait so many seconds for it, in a thread. Raises ProviderError (retryable)."""
    deadline = time.monotonic() + patience
    while (lock := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise still_held(path, patience)
        time.sleep(_POLL)
    try:
        yield
    finally:
        lock.release()


def still_held(path: Path, patience: float) -> ProviderError:
    return ProviderError(
        f"Another process has held {path} for {patience:g} s; `fuser` on that file names it. "
        "The keeper holds it while it carries an undo out; end any other that hangs.",
        retryable=True,
    )


def disk_trouble(path: Path, deed: str, error: OSError) -> ProviderError:
    what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
    return ProviderError(
        f"{path} of the keeper's ledger cannot be {deed}: {what}. Mend that; it is tried again.", retryable=True
    )


def _damage(path: Path, error: Exception) -> str:
    first = str(error).splitlines()[0]
    return (
        f"{path} does not hold the lease {unquote(path.stem)} any more ({first}), so it cannot be carried out. "
        "Look where that traffic goes; then remove the file."
    )
