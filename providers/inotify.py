"""Room for the files that Envoy watches: one inotify instance each, of which a user has few (128 on most systems).

An Envoy that gets none aborts, and aborts again at each start, with every service of its host. So room is made sure of
before it is given one file more. https://man7.org/linux/man-pages/man7/inotify.7.html
"""

import ctypes
import errno
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from providers.errors import ProviderError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")

_SPARE = 8
"""Envoy watches a file twice while it replaces what reads it; and other programs of the user want some, too."""

_ENOUGH = 1024


def require_room(files: int) -> None:
    """Raise ProviderError (retryable) when this user could not watch so many files more, and some to spare."""
    if files and not has_room(files + _SPARE):
        raise ProviderError(
            f"Envoy would have to watch {files} more files, and would abort: user {os.geteuid()} has less than "
            f"{files + _SPARE} of its inotify instances left (limit: {_limit()}). Raise it: "
            f"`sysctl -w fs.inotify.max_user_instances={_ENOUGH}`, and in /etc/sysctl.d/ to keep it.",
            retryable=True,
        )


def has_room(instances: int) -> bool:
    """Whether the kernel gives this user so many more inotify instances: they are opened and closed again, as there is
    no figure to read. Always true where there is no inotify.
    """
    if sys.platform != "linux":
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as opened:
        for _ in range(instances):
            descriptor = libc.inotify_init1(os.O_CLOEXEC)
            if descriptor < 0:
                return ctypes.get_errno() not in {errno.EMFILE, errno.ENFILE}
            opened.callback(os.close, descriptor)
    return True


def _limit() -> str:
    try:
        return LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
