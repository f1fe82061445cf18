import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.plan import FaultFolder
from tests.whole.platform import Platform


@pytest.fixture(scope="package")
def faulty_platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Platform]:
    """A whole stack, shared by this folder's tests in a process; its providers are slow or fail where told to."""
    folder = tmp_path_factory.mktemp("faulty")
    platform = Platform(folder, up_command=(sys.executable, "-m", "tests.faults.up"))
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


@pytest.fixture
def folder(faulty_platform: Platform) -> FaultFolder:
    return FaultFolder(faulty_platform.home)
