"""Tables brought to what this version of the code wants. A revision only adds: an older worker goes on beside it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from records.errors import RecordsError
from records.schema import Schema

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x686F6C64  # any number that every Holdfast takes and nobody else


def schema_of(connection: Connection) -> Schema:
    script = ScriptDirectory.from_config(_config())
    known = [revision.revision for revision in script.walk_revisions()]
    there = inspect(connection).has_table("alembic_version")
    found = MigrationContext.configure(connection).get_current_revision() if there else None
    return Schema(found=found, wanted=known[0], newer=found is not None and found not in known)


def require(schema: Schema, where: object) -> None:
    """Raise RecordsError unless the schema is the one this code reads."""
    if schema.newer:
        raise RecordsError(
            f"The records in {where} are of a newer Holdfast (revision {schema.found}; this one knows up to "
            f"{schema.wanted}). Upgrade this one.",
            retryable=False,
        )
    if not schema.current:
        found = f"at revision {schema.found}, not {schema.wanted}" if schema.found else "without its tables yet"
        raise RecordsError(
            f"The records database {where} is {found}. The records worker mends that when it starts; "
            "so does `holdfast records migrate`.",
            retryable=True,
        )


def migrate(connection: Connection, where: object) -> Schema:
    """Bring the tables up to date, in the transaction that the connection is in; return what was found.

    Of several processes one does it, the others wait. Raises RecordsError for a newer schema.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = schema_of(connection)
    if found.newer:
        require(found, where)
    if not found.current:
        upgrade(connection, "head")
    return found


def upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
