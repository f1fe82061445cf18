"""INSERT with ON CONFLICT, which each database has a statement of its own for."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return cast(postgresql.Insert | sqlite.Insert, dialect.insert(table))


def newest_stays(connection: AsyncConnection, table: Table, row: Mapping[str, object]) -> Insert:
    """Of the pictures of one run, that with the greatest revision is kept."""
    statement = insert(connection, table).values(**row)
    return statement.on_conflict_do_update(
        index_elements=[table.c.workflow_id, table.c.run_id],
        set_={name: statement.excluded[name] for name in row},
        where=statement.excluded.revision > table.c.revision,
    )
