"""The one place where what a database driver raises becomes a RecordsError."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from records.address import SETTING, Address
from records.errors import RecordsError


class MissingTablesError(RecordsError):
    """The database has been made anew behind our back: it wants migrating again."""


_LOCKED = (True, "is locked by another process; it is tried again. If it stays so, end what holds it")
_CLOSED = (False, "cannot be opened. Give the records worker's user the right to its file and its folder")
_SQLITE = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": (True, "cannot grow: its disk is full. Free some space"),
    "SQLITE_IOERR": (True, "cannot be read or written: its disk reports an error. Look at the disk and its free space"),
    "SQLITE_READONLY": (False, "cannot be written. Give the records worker's user the right to it and to its folder"),
    "SQLITE_CANTOPEN": _CLOSED,
    "SQLITE_PERM": _CLOSED,
    "SQLITE_CORRUPT": (False, "is damaged. Put a backup in its place, or move it away: a new one is made then"),
    "SQLITE_NOTADB": (False, f"is not an SQLite database. Move it away, or name another file in {SETTING}"),
}

_AWAY = (True, "cannot be reached. Start it, or mend the network between")
_PASSWORD = (False, f"refuses the user or the password. Mend them in {SETTING}")
_RIGHTS = (False, "denies what is needed. Grant its user the right to create and to write tables in its schema")
_POSTGRESQL = {
    "28": _PASSWORD,
    "3D000": (False, "does not exist on its server. Create it (CREATE DATABASE), or name another"),
    "42501": _RIGHTS,
    "25006": (False, f"takes no writes: it is a standby or read-only. Name the primary in {SETTING}"),
    "53100": (True, "cannot grow: its disk is full. Free some space"),
    "53300": (True, "has no connection to spare. Raise its max_connections, or end some"),
    "55P03": (True, "is locked by another session; it is tried again"),
    "40": (True, "was written by another session at the same time; it is tried again"),
    "57": (True, "is shutting down or starting; it is tried again"),
    "08": _AWAY,
}


@contextmanager
def records_errors(address: Address) -> Iterator[None]:
    """Raise whatever goes wrong with a database as a RecordsError, or as a MissingTablesError."""
    try:
        yield
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error, OSError) as error:
        # A TimeoutError is an OSError. The chain is kept: neither drivers nor SQLAlchemy show passwords or parameters.
        raise _explained(_driver_error(error), address) from error


def _driver_error(error: BaseException) -> BaseException:
    while isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        error = error.orig
    while getattr(error, "sqlstate", None) is None and isinstance(error.__cause__, asyncpg.PostgresError | OSError):
        error = error.__cause__
    return error


def _explained(error: BaseException, address: Address) -> RecordsError:
    state = str(getattr(error, "sqlstate", None) or "")
    if state == "42P01" or "no such table" in str(error):
        return MissingTablesError(f"The records database {address} has lost its tables.", retryable=True)
    retryable, what = _known(error, state) or (True, "did not do what was asked; it is tried again")
    return RecordsError(f"The records database {address} {what}. ({_said(error)})", retryable=retryable)


def _known(error: BaseException, state: str) -> tuple[bool, str] | None:
    name = str(getattr(error, "sqlite_errorname", ""))
    if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError):
        return _CLOSED
    if isinstance(error, TimeoutError):
        return True, "does not answer. Look whether it is overloaded, or the network to it broken"
    if isinstance(error, OSError) or "connection" in str(error).lower():
        return _AWAY
    for known, answer in (*_SQLITE.items(), *_POSTGRESQL.items()):
        if name.startswith(known) or (state and state.startswith(known)):
            return answer
    return None


def _said(error: BaseException) -> str:
    """The driver's own words, on one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
