"""A worker as in production, on providers that are slow or fail as planned: `python -m tests.faults.worker GROUP`."""

import asyncio
import os
import sys
from dataclasses import replace
from typing import cast

from runtime.logs import configure_logging
from runtime.settings import Settings
from tests.faults.adapters import FaultyAdapters
from tests.faults.plan import FaultFolder
from workers.groups import Activities, Group, groups_named
from workers.run import run_workers
from workers.wiring import Adapters


def faulty(group: Group, folder: FaultFolder) -> Group:
    def activities(real: Adapters) -> Activities:
        return group.activities(cast("Adapters", FaultyAdapters(real, folder)))

    return replace(group, activities=activities)


def main() -> None:
    settings = Settings()
    configure_logging(settings)
    folder = FaultFolder(settings.home)
    asyncio.run(run_workers([faulty(group, folder) for group in groups_named(sys.argv[1:])], settings))
    os._exit(0)  # the SDK's core may abort an interpreter that shuts down (temporalio/sdk-python issue 300)


if __name__ == "__main__":
    main()
