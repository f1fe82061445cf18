"""Files that survive a crash as a whole: the old content or the new, never a part."""

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOCK_POLL_SECONDS = 0.05


def replace_durably(path: Path, text: str) -> None:
    """Write the text beside the file, then rename it over; both reach the disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")  # two may write at once
    with scratch.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(path)
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove the file if it is there. Raises OSError."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def held(folder: Path) -> AsyncIterator[None]:
    """Hold a folder against other tasks and processes, for as long as the block takes.

    A holder that dies or is cancelled lets go. Waiting may take as long as the other holder does.
    """
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - microseconds on a local disk
    with (folder / ".lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield
