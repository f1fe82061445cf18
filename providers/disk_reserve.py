"""Some space held back on a disk, to be given up when the disk is full and something must be written nonetheless."""

import os
import time
from contextlib import suppress
from pathlib import Path

_TRY_AGAIN_AFTER = 60.0


class DiskReserve:
    """A file that nobody reads. Both methods block for milliseconds and raise nothing: it is a help, not a promise."""

    def __init__(self, path: Path, size: int = 2**20) -> None:
        self._path = path
        self._size = size
        self._tried_at: float | None = None

    def keep(self) -> None:
        """Hold the space, if there is some. To be called now and then."""
        if self._path.exists() or (self._tried_at and time.monotonic() - self._tried_at < _TRY_AGAIN_AFTER):
            return
        self._tried_at = time.monotonic()
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("wb") as handle:
                try:
                    os.posix_fallocate(handle.fileno(), 0, self._size)
                except (OSError, AttributeError):
                    self._path.unlink()

    def give_up(self) -> None:
        self._tried_at = time.monotonic()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
