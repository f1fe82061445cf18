import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.platform import Platform


@pytest.fixture(scope="session")
def mortal_platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Platform]:
    """A whole stack, shared by the tests of a process, whose workers die where they are told to."""
    folder = tmp_path_factory.mktemp("mortal")
    platform = Platform(folder, up_command=(sys.executable, "-m", "tests.crash.up"))
    try:
        platform.start()
        yield platform
    finally:
        platform.end()
