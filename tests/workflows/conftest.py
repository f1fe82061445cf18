from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.workflows.harness import Bench, running_bench, running_real_bench


@pytest_asyncio.fixture(scope="session")
async def bench(test_server: Path) -> AsyncIterator[Bench]:
    """A server whose clock skips ahead whenever a test waits for a result, shared by the tests of a process."""
    async with running_bench(test_server) as bench:
        yield bench


@pytest_asyncio.fixture
async def fresh_bench(test_server: Path) -> AsyncIterator[Bench]:
    """For tests that wait for timers: this server's clock skips no more once a workflow has ended before an activity
    that it cancelled, as the rollouts of other tests do.
    """
    async with running_bench(test_server) as bench:
        yield bench


@pytest_asyncio.fixture(scope="session")
async def real_bench(temporal_cli: Path) -> AsyncIterator[Bench]:
    """For rollouts that continue as new: the time-skipping server answers a completion so, of a workflow that was asked
    to cancel, with an error too long for its own transport, and loses queries that meet the change of runs.
    """
    async with running_real_bench(temporal_cli) as bench:
        yield bench
