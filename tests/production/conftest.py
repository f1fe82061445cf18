from collections.abc import Iterator

import pytest

from devstack.errors import ObtainError
from tests.production.platform import Production


@pytest.fixture(scope="package")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """One for all tests of a process; each rolls a service of its own out on it, and mends what it kills."""
    try:
        platform = Production(tmp_path_factory.mktemp("production"))
    except ObtainError as missing:
        pytest.skip(str(missing))
    try:
        platform.start()
        yield platform
    finally:
        platform.end()
