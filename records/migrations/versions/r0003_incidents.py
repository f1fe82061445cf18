"""Incidents, their timelines, and what was sent to people because of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("workflow_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.String, nullable=False),
        sa.Column("service", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("acknowledged_at", _MOMENT),
        sa.Column("acknowledged_by", sa.String, nullable=False),
        sa.Column("resolved_at", _MOMENT),
        sa.Column("resolved_by", sa.String, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("missed_target", sa.Boolean, nullable=False),
        sa.Column("merged_into", sa.String, nullable=False),
        sa.Column("commander", sa.String, nullable=False),
        sa.Column("responders", _JSON, nullable=False),
        sa.Column("tasks", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "run_id", name="incidents_key"),
    )
    op.create_index("incidents_by_service", "incidents", ["environment", "service", "opened_at"])
    op.create_index("incidents_by_time", "incidents", ["environment", "opened_at"])
    op.create_table(
        "incident_timeline",
        sa.Column("workflow_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "run_id", "number", name="incident_timeline_key"),
    )
    op.create_table(
        "notifications",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("workflow_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("level", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT),
        sa.Column("problem", sa.String, nullable=False),
        sa.Column("document", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="notifications_key"),
    )
    op.create_index("notifications_by_incident", "notifications", ["workflow_id", "run_id", "step"])
    op.create_index("notifications_by_target", "notifications", ["target", "due_at"])
