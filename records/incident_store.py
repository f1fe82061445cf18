"""Incidents in the records: written inside of a transaction, read back by what people ask for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models.ids import IncidentRef
from models.incident import IncidentRecord
from models.notification import Notification
from records.incident_rows import entry_row, incident_row, notification_row
from records.inserting import insert, newest_stays
from records.tables import INCIDENT_TIMELINE, INCIDENTS, NOTIFICATIONS


async def write_incident(connection: AsyncConnection, record: IncidentRecord) -> None:
    """The newest picture stays; entries and messages that are there stay as they are."""
    await connection.execute(newest_stays(connection, INCIDENTS, incident_row(record)))
    await _add(connection, INCIDENT_TIMELINE, [entry_row(record, entry) for entry in record.timeline])
    for each in record.notifications:
        await put_notification(connection, each.notification, each.sent_at, each.problem)


async def put_notification(
    connection: AsyncConnection, notification: Notification, sent_at: datetime | None, problem: str = ""
) -> None:
    await _add(connection, NOTIFICATIONS, [notification_row(notification, sent_at, problem)])


def incidents_query(
    environment: str, service: str | None, limit: int, *, unfinished: bool, since: datetime | None
) -> Select[Any]:
    """The newest first, without their alerts."""
    columns = (column for column in INCIDENTS.c if column is not INCIDENTS.c.alerts)
    query = select(*columns).where(INCIDENTS.c.environment == environment)
    if service is not None:
        query = query.where(INCIDENTS.c.service == service)
    if unfinished:
        query = query.where(INCIDENTS.c.closed_at.is_(None))
    if since is not None:
        query = query.where(INCIDENTS.c.opened_at >= since)
    return query.order_by(INCIDENTS.c.opened_at.desc(), INCIDENTS.c.run_id).limit(limit)


def incident_query(ref: IncidentRef, run_id: str | None) -> Select[Any]:
    """One incident: of a key the newest, or the one that began with this run."""
    query = select(INCIDENTS).where(
        INCIDENTS.c.environment == ref.environment, INCIDENTS.c.service == ref.service, INCIDENTS.c.key == ref.key
    )
    if run_id is not None:
        query = query.where(INCIDENTS.c.run_id == run_id)
    return query.order_by(INCIDENTS.c.opened_at.desc(), INCIDENTS.c.run_id).limit(1)


def timeline_query(workflow_id: str, run_id: str) -> Select[Any]:
    table = INCIDENT_TIMELINE
    return (
        select(table.c.number, table.c.at, table.c.text, table.c.by)
        .where(table.c.workflow_id == workflow_id, table.c.run_id == run_id)
        .order_by(table.c.number)
    )


def notifications_query(target: str | None, incident: tuple[str, str] | None, limit: int) -> Select[Any]:
    """To one target, or because of one incident (its workflow and first run); the newest first."""
    query = select(NOTIFICATIONS)
    if target is not None:
        query = query.where(NOTIFICATIONS.c.target == target)
    if incident is not None:
        query = query.where(NOTIFICATIONS.c.workflow_id == incident[0], NOTIFICATIONS.c.run_id == incident[1])
    return query.order_by(NOTIFICATIONS.c.due_at.desc(), NOTIFICATIONS.c.step.desc(), NOTIFICATIONS.c.key).limit(limit)


async def _add(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        await connection.execute(insert(connection, table).on_conflict_do_nothing(), list(rows))
