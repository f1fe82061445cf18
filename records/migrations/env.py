"""Alembic runs this; `records/migrating.py` gives it a connection inside a transaction."""

from alembic import context

from records.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
