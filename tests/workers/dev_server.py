"""A real Temporal for tests, one per test process."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from models.quantities import HostPort
from tests.factories import SERVER_STARTS_WITHIN


@asynccontextmanager
async def running_temporal(cli: Path, port: int | None = None, database: Path | None = None) -> AsyncIterator[HostPort]:
    """Run a dev server, in memory or on a file; yields where it listens."""
    async with await WorkflowEnvironment.start_local(
        port=port,
        dev_server_existing_path=str(cli),
        dev_server_database_filename=str(database) if database else None,
        dev_server_log_level="error",
        dev_server_startup_timeout=SERVER_STARTS_WITHIN,
    ) as environment:
        yield environment.client.service_client.config.target_host


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(temporal_cli: Path) -> AsyncIterator[HostPort]:
    async with running_temporal(temporal_cli) as address:
        yield address


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
