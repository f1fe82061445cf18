"""The host's clock that nobody sets: it is the same for all its processes and goes on while the host is suspended."""

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from models.keeper import HostTime

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def host_time() -> HostTime:
    """Now. Elsewhere than on Linux suspended time does not count, and the boot is told by when it was, so that a
    changed wall clock looks like another boot.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    seconds = time.monotonic() if clock is None else time.clock_gettime(clock)
    return HostTime(boot=_boot(), seconds=seconds)


def wall_time() -> datetime:
    """For people to read; never compared with anything."""
    return datetime.now(UTC)


def _boot() -> str:
    return _boot_id() or f"booted at {_booted_at():.0f}"


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _booted_at() -> float:
    import psutil  # only where it is needed, as it costs the keeper memory

    return psutil.boot_time()
