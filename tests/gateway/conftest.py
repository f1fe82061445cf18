from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.gateway.doors import Door, Server, a_door, incident_server
from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(temporal_cli: Path) -> AsyncIterator[Server]:
    async with incident_server(temporal_cli) as server:
        yield server


@pytest_asyncio.fixture
async def door(server: Server) -> AsyncIterator[Door]:
    async with a_door(server.client) as door:
        yield door
