"""Connections and transactions: SQLite in a file, or PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
from sqlalchemy import URL, Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from records.address import Address, PostgresqlServer, SqliteFile
from records.errors import RecordsError
from records.failures import records_errors

PATIENCE = timedelta(seconds=5)
"""How long another writer of the same file, or a server, is waited for before it is said that it does not answer."""

TRANSACTION = timedelta(seconds=20)
"""Longer than any of ours takes; beyond it the connection is taken for dead."""


class Database:
    """Every transaction either commits whole or raises RecordsError."""

    def __init__(self, address: Address) -> None:
        self.address = address
        match address:
            case SqliteFile():
                self._writer = _sqlite_engine(address.path, mode="rwc", begin="BEGIN IMMEDIATE")
                self._reader = _sqlite_engine(address.path, mode="rw", begin="BEGIN")
            case PostgresqlServer():
                self._writer = self._reader = _postgresql_engine(address)

    async def aclose(self) -> None:
        for engine in (self._writer, self._reader):
            await engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        path = self._path
        if path and not path.exists():
            raise RecordsError(
                f"There is no records database {path} yet. The records worker makes it when it starts; if the records "
                "are elsewhere, name them in HOLDFAST_RECORDS_URL.",
                retryable=True,
            )
        with records_errors(self.address):
            async with asyncio.timeout(TRANSACTION.total_seconds()), self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        path = self._path
        with records_errors(self.address):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
            before = _identity(path)
            async with asyncio.timeout(TRANSACTION.total_seconds()), self._writer.begin() as connection:
                before = before or _identity(path)
                yield connection
        if _identity(path) != before:
            raise RecordsError(
                f"The records database {path} was removed or replaced while it was written. It is written again.",
                retryable=True,
            )

    @property
    def _path(self) -> Path | None:
        return self.address.path if isinstance(self.address, SqliteFile) else None


def _identity(path: Path | None) -> tuple[int, int] | None:
    """What tells a file from another of the same name: SQLite would go on writing to one that was removed."""
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _sqlite_engine(path: Path, *, mode: str, begin: str) -> AsyncEngine:
    """A connection per transaction, so that a file that was removed or replaced meanwhile is noticed."""
    url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        # The driver would begin transactions by itself, and never for DDL.
        connect_args={"isolation_level": None, "timeout": PATIENCE.total_seconds()},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # Once Temporal is told that something is written, it is not written again, so a commit must survive a power
        # cut: FULL, as NORMAL may lose the last ones. A rollout has a few, so the fsync costs nothing that is felt.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_mode")
        if mode == "rwc" and cursor.fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")  # those who read do not hold up the one who writes
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql_engine(address: PostgresqlServer) -> AsyncEngine:
    async def connect() -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(
            address.dsn.get_secret_value(),
            timeout=PATIENCE.total_seconds(),
            command_timeout=PATIENCE.total_seconds() * 2,
            server_settings={
                "application_name": "holdfast",
                "lock_timeout": str(PATIENCE // timedelta(milliseconds=1)),
            },
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=2,
        max_overflow=8,
        pool_timeout=PATIENCE.total_seconds(),
        pool_pre_ping=True,
        hide_parameters=True,
    )
