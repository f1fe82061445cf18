"""Obtains the programs that tests stand on, before any test runs: a build of minutes would be held against the test
that happens to be the first.

    python -m tests.programs
"""

import asyncio
import sys

from devstack.errors import ObtainError
from devstack.temporal_cli import find_temporal_cli
from devstack.temporal_production import find_production_server
from devstack.test_server import find_test_server
from runtime.settings import Settings
from tests.production.compose import find_loader


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - progress of a command


async def obtain_all() -> int:
    """The exit code: 1 where something is missing without which hardly any test runs.

    Tests of production are skipped without what they need.
    """
    settings = Settings()
    needed = [
        find_temporal_cli(configured=settings.temporal_cli, cache_dir=settings.cache_dir, say=say),
        find_test_server(cache_dir=settings.cache_dir, say=say),
    ]
    for each in needed:
        try:
            await each
        except ObtainError as missing:
            print(missing, file=sys.stderr)  # noqa: T201
            return 1
    for further in (find_production_server(cache_dir=settings.cache_dir, say=say), find_loader(say=say)):
        try:
            await further
        except ObtainError as missing:
            say(f"Some tests will be skipped. {missing}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(obtain_all()))
