"""`holdfast up` on providers that are slow or fail as planned: `python -m tests.faults.up`."""

import os
import sys

from runtime.settings import Settings
from starters.up import run_up

if __name__ == "__main__":
    os._exit(run_up(Settings(), worker_command=(sys.executable, "-m", "tests.faults.worker"), gateway_command=()))
