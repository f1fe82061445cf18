"""What a running stack leaves in its home: a lock that says who holds it, and the record of what serves where."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from devstack.errors import AlreadyRunning, StackError
from models.base import Payload
from models.stack import StackRecord
from providers.host_ports import is_same_process


class _Holder(Payload):
    pid: int
    since: datetime


def record_file(home: Path) -> Path:
    return home / "stack.json"


def read_record(home: Path) -> StackRecord | None:
    """The running stack of this home; None when none serves, even where a killed one left its record."""
    try:
        record = StackRecord.model_validate_json(record_file(home).read_bytes())
    except (OSError, ValidationError):
        return None
    return record if is_same_process(record.pid, record.process_started) else None


def write_record(home: Path, record: StackRecord) -> None:
    """Atomically: who reads meanwhile sees the former or this one."""
    scratch = record_file(home).with_suffix(".tmp")
    scratch.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    scratch.replace(record_file(home))


def remove_record(home: Path) -> None:
    record_file(home).unlink(missing_ok=True)


@contextmanager
def holding(home: Path) -> Iterator[datetime]:
    """Hold the home for one stack; gives since when. The kernel lets go when this process dies, however it dies.

    Raises AlreadyRunning when another process holds it, StackError when the home cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StackError(
            f"The home folder {home} cannot be used: {error.strerror}. Mend that, or name another in HOLDFAST_HOME."
        ) from error
    try:
        _lock(descriptor, home)
        holder = _Holder(pid=os.getpid(), since=datetime.now(UTC))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.model_dump_json().encode(), 0)
        yield holder.since
    finally:
        os.close(descriptor)


def _lock(descriptor: int, home: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _already_running(descriptor, home) from None


def _already_running(descriptor: int, home: Path) -> Exception:
    try:
        holder = _Holder.model_validate_json(os.pread(descriptor, 4096, 0))
    except ValidationError:  # it is being written in this moment
        return StackError(f"Another `holdfast up` starts in {home} at this moment; see `holdfast doctor`.")
    return AlreadyRunning(holder.pid, holder.since, read_record(home))
