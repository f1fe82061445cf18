from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from records.store import RecordStore
from tests.postgres import Postgres


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStr:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return SecretStr(f"sqlite:///{tmp_path}/records.db")
    server: Postgres = request.getfixturevalue("postgres")
    return SecretStr(server.url(await server.new_database()))


@pytest_asyncio.fixture
async def store(url: SecretStr, tmp_path: Path) -> AsyncIterator[RecordStore]:
    async with RecordStore(url, tmp_path) as store:
        yield store
