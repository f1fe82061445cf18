"""The programs that tests stand on are obtained once, the same way as for users."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.temporal_cli import find_temporal_cli
from devstack.test_server import find_test_server
from runtime.settings import Settings
from tests.postgres import Postgres
from tests.whole.platform import Platform


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that cannot run is a failure: what it needs is to be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def services_are_retired() -> Iterator[None]:
    """What a test deployed on a platform that it shares is taken away after it."""
    before = list(Platform.made)
    yield
    for platform, shop in [each for each in Platform.made if each not in before]:
        platform.retire(shop)
        Platform.made.remove((platform, shop))


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    settings = Settings()
    return asyncio.run(find_temporal_cli(configured=settings.temporal_cli, cache_dir=settings.cache_dir, say=print))


@pytest.fixture(scope="session")
def test_server() -> Path:
    return asyncio.run(find_test_server(cache_dir=Settings().cache_dir, say=print))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server per process of tests; each test makes a database of its own with `new_database`."""
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.end()
