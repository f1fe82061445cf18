"""A worker of a later build with changed rollouts: `python -m tests.production.upgraded_worker carefully GROUP`."""

import asyncio
import os
import sys
from dataclasses import replace

from runtime.logs import configure_logging
from runtime.settings import Settings
from tests.production.changed_rollout import CarelesslyChangedRollout, ChangedRollout
from workers.groups import Group, groups_named
from workers.run import run_workers
from workflows.rollout import Rollout

CHANGES: dict[str, type] = {"carefully": ChangedRollout, "carelessly": CarelesslyChangedRollout}


def changed(group: Group, instead: type) -> Group:
    return replace(group, workflows=tuple(instead if each is Rollout else each for each in group.workflows))


def main() -> None:
    how, *names = sys.argv[1:]
    settings = Settings()
    configure_logging(settings)
    asyncio.run(run_workers([changed(group, CHANGES[how]) for group in groups_named(names)], settings))
    os._exit(0)  # the SDK's core may abort an interpreter that shuts down (temporalio/sdk-python issue 300)


if __name__ == "__main__":
    main()
