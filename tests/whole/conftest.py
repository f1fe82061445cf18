from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.platform import Platform


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Platform]:
    """One stack for all tests of a process; each test rolls a service of its own out on it."""
    shared = Platform(tmp_path_factory.mktemp("platform"))
    try:
        shared.start()
        yield shared
    finally:
        shared.end()


@pytest.fixture
def own_platform(tmp_path: Path, temporal_cli: Path) -> Iterator[Platform]:
    """A stack, not started yet, for a test that stops or breaks it for good."""
    own = Platform(tmp_path)
    try:
        yield own
    finally:
        own.end()
