"""`holdfast up` with workers that die where they are told to: `python -m tests.crash.up`."""

import os
import sys

from runtime.settings import Settings
from starters.up import run_up

if __name__ == "__main__":
    os._exit(run_up(Settings(), worker_command=(sys.executable, "-m", "tests.crash.worker"), gateway_command=()))
