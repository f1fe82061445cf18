import shutil
from pathlib import Path

import pytest

from tests.whole.conftest import platform as platform  # noqa: PLC0414 - re-exported for the tests of this folder


def program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; Debian's package prometheus has it")
    return Path(found)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return program("prometheus")
