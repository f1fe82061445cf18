"""The two kinds of Temporal that Holdfast runs on, each with a database of its own that is gone afterwards."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

from benchmarks.stage import HOLDFAST, ROOT
from devstack.temporal_cli import find_temporal_cli
from devstack.temporal_server import temporal_child
from devstack.tether import tethered
from models.quantities import HostPort
from providers.host_ports import free_ports
from runtime.settings import Settings
from tests.production.parts import TemporalOnPostgres

_GRACE_SECONDS = 20


class Database(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@asynccontextmanager
async def temporal_on(database: Database) -> AsyncIterator[HostPort]:
    """SQLite: the dev server on a file, as `holdfast up` runs it. PostgreSQL: Debian's, with the production server."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        running = _on_sqlite if database is Database.SQLITE else _on_postgresql
        async with running(Path(folder)) as address:
            await asyncio.to_thread(_set_up, address)
            yield address


@asynccontextmanager
async def _on_sqlite(folder: Path) -> AsyncIterator[HostPort]:
    settings = Settings()
    cli = await find_temporal_cli(configured=settings.temporal_cli, cache_dir=settings.cache_dir, say=print)
    port, ui_port = free_ports(2)
    command = tethered(temporal_child(cli, home=folder, port=port, ui_port=ui_port).command)
    with (folder / "temporal.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: ASYNC220 - at once
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, _GRACE_SECONDS)


@asynccontextmanager
async def _on_postgresql(folder: Path) -> AsyncIterator[HostPort]:
    server = await asyncio.to_thread(TemporalOnPostgres, folder)
    try:
        await asyncio.to_thread(server.start)
        yield server.address
    finally:
        await asyncio.to_thread(server.end)


def _set_up(address: HostPort) -> None:
    env = {**os.environ, "HOLDFAST_TEMPORAL_ADDRESS": address}
    subprocess.run([*HOLDFAST, "setup"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, check=True)
