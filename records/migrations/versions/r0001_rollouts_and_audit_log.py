"""Rollouts, and the audit log that is only ever added to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

_SQLITE_TRIGGERS = (
    """
    CREATE TRIGGER audit_log_keeps_entries BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_log_loses_no_entry BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """,
    # INSERT OR REPLACE would delete without asking the trigger above.
    """
    CREATE TRIGGER audit_log_replaces_no_entry BEFORE INSERT ON audit_log
    WHEN EXISTS (SELECT 1 FROM audit_log WHERE key = NEW.key)
    BEGIN SELECT RAISE(IGNORE); END
    """,
)

_POSTGRESQL_TRIGGERS = (
    """
    CREATE FUNCTION audit_log_refuses() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$
    """,
    """
    CREATE TRIGGER audit_log_keeps_entries BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuses()
    """,
)


def upgrade() -> None:
    op.create_table(
        "rollouts",
        sa.Column("workflow_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("stable_before", sa.String),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("requested_by", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("exposed_at", _MOMENT),
        sa.Column("decided_at", _MOMENT),
        sa.Column("off_at", _MOMENT),
        sa.Column("verdict", _JSON),
        sa.Column("timeline", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "run_id", name="rollouts_key"),
    )
    op.create_index("rollouts_by_service", "rollouts", ["environment", "service", "started_at"])
    op.create_table(
        "audit_log",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("version", sa.String),
        sa.Column("from_where", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("key", name="audit_log_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("audit_log_by_service", "audit_log", ["environment", "service", "at"])
    op.create_index("audit_log_by_time", "audit_log", ["at"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)
