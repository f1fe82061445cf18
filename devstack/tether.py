"""Ties a program's life to its parent's: `python tether.py <parent pid> <program> [argument ...]`.

Started as a file, without site-packages, because it stands before every child and must cost milliseconds only.
The kernel's PR_SET_PDEATHSIG survives exec, so that nothing of ours keeps running beside the program. Elsewhere than
on Linux there is no such call: there a program outlives a parent that was killed with SIGKILL.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_NOT_FOUND = 127


def tethered(command: Sequence[str]) -> list[str]:
    """The command that runs `command` until it ends or this process does."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(arguments: Sequence[str]) -> None:
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != int(parent):
            sys.exit("the parent was gone before its child began")
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell to be had here
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    main(sys.argv[1:])
