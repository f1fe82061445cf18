"""The programs that tests stand on are obtained once, the same way as for users."""

import asyncio
from pathlib import Path

import pytest

from devstack.temporal_cli import find_temporal_cli
from devstack.test_server import find_test_server
from runtime.settings import Settings


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    settings = Settings()
    return asyncio.run(find_temporal_cli(configured=settings.temporal_cli, cache_dir=settings.cache_dir, say=print))


@pytest.fixture(scope="session")
def test_server() -> Path:
    return asyncio.run(find_test_server(cache_dir=Settings().cache_dir, say=print))
