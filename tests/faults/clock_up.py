"""`holdfast up` whose workers and keeper have a wall clock that a test sets: `python -m tests.faults.clock_up OFFSET`.

OFFSET is the file that holds how far the clock is off, as in `+1h`.
"""

import os
import sys
from pathlib import Path

from devstack.stack import KEEPER_COMMAND, WORKER_COMMAND
from runtime.settings import Settings
from starters.up import run_up

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def main() -> None:
    faked = (
        "env",
        f"LD_PRELOAD={FAKETIME}",
        f"FAKETIME_TIMESTAMP_FILE={sys.argv[1]}",
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",  # what never goes back, and so timers, is the real one
        "NO_FAKE_STAT=1",
    )
    code = run_up(
        Settings(),
        worker_command=(*faked, *WORKER_COMMAND),
        keeper_command=(*faked, *KEEPER_COMMAND),
        gateway_command=(),
    )
    os._exit(code)


if __name__ == "__main__":
    main()
