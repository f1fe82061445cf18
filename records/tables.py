"""The tables. What is changed here needs a migration in `migrations/versions/`; a test holds both together."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()
_Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

ROLLOUTS = Table(
    "rollouts",
    METADATA,
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("environment", String, nullable=False),
    Column("service", String, nullable=False),
    Column("version", String, nullable=False),
    Column("stable_before", String),
    Column("strategy", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("note", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("exposed_at", UtcDateTime),
    Column("decided_at", UtcDateTime),
    Column("off_at", UtcDateTime),
    Column("verdict", _Json),
    Column("timeline", _Json, nullable=False),
    PrimaryKeyConstraint("workflow_id", "run_id", name="rollouts_key"),
    Index("rollouts_by_service", "environment", "service", "started_at"),
)

INCIDENTS = Table(
    "incidents",
    METADATA,
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("environment", String, nullable=False),
    Column("service", String, nullable=False),
    Column("key", String, nullable=False),
    Column("title", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", String, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("count", BigInteger, nullable=False),
    Column("missed_target", Boolean, nullable=False),
    Column("merged_into", String, nullable=False),
    Column("commander", String, nullable=False),
    Column("responders", _Json, nullable=False),
    Column("tasks", _Json, nullable=False),
    Column("alerts", _Json),
    PrimaryKeyConstraint("workflow_id", "run_id", name="incidents_key"),
    Index("incidents_by_service", "environment", "service", "opened_at"),
    Index("incidents_by_time", "environment", "opened_at"),
)

INCIDENT_TIMELINE = Table(
    "incident_timeline",
    METADATA,
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("text", String, nullable=False),
    Column("by", String, nullable=False),
    PrimaryKeyConstraint("workflow_id", "run_id", "number", name="incident_timeline_key"),
)
"""What happened to an incident, one row an entry. Written once: an entry that is there stays as it is."""

NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("key", String, nullable=False),
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("target", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("level", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("problem", String, nullable=False),
    Column("document", _Json, nullable=False),
    PrimaryKeyConstraint("key", name="notifications_key"),
    Index("notifications_by_incident", "workflow_id", "run_id", "step"),
    Index("notifications_by_target", "target", "due_at"),
)
"""What was sent to people, one row a message and target; those of the target `console` are its inbox."""

AUDIT_LOG = Table(
    "audit_log",
    METADATA,
    Column("key", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("service", String, nullable=False),
    Column("version", String),
    Column("from_where", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("why", String, nullable=False),
    Column("note", String, nullable=False),
    PrimaryKeyConstraint("key", name="audit_log_key"),
    Index("audit_log_by_service", "environment", "service", "at"),
    Index("audit_log_by_time", "at"),
    sqlite_with_rowid=False,
)
"""Append-only: triggers refuse every UPDATE and DELETE, and in SQLite an INSERT OR REPLACE changes nothing."""

EVIDENCE_SAMPLES = Table(
    "evidence_samples",
    METADATA,
    Column("workflow_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("document", _Json, nullable=False),
    PrimaryKeyConstraint("workflow_id", "run_id", "at", name="evidence_samples_key"),
    sqlite_with_rowid=False,
)
"""The trail of a watch, one row a moment. Written once: a sample that is there stays as it is."""
