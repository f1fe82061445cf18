"""A worker process for tests: `python -m tests.workers.sample_worker QUEUE DRAIN_SECONDS`, settings as usual."""

import asyncio
import os
import sys
from datetime import timedelta

from runtime.logs import configure_logging
from runtime.settings import Settings
from tests.workers.sample_work import SampleErrand, SampleMishap, errand, mishap
from workers.groups import Group
from workers.run import run_workers


def main() -> None:
    group = Group(
        queue=sys.argv[1],
        why="a test",
        workflows=(SampleErrand, SampleMishap),
        activities=lambda _: (errand, mishap),
        concurrent_activities=2,
        drain=timedelta(seconds=float(sys.argv[2])),
    )
    settings = Settings()
    configure_logging(settings)
    asyncio.run(run_workers([group], settings))
    sys.stderr.flush()
    os._exit(0)  # as the `holdfast` command leaves: the SDK's threads may abort an ordinary exit


if __name__ == "__main__":
    main()
