from collections.abc import Iterator

import pytest

from tests.production.platform import Production


@pytest.fixture(scope="package")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """One for all tests of a process; each rolls a service of its own out on it, and mends what it kills."""
    platform = Production(tmp_path_factory.mktemp("production"))
    try:
        platform.start()
        yield platform
    finally:
        platform.end()
