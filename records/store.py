"""The records: writing what happened once, and reading it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr
from sqlalchemy import Insert, RowMapping, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from models.audit import AuditEntry
from models.evidence_trail import RolloutKey, TrailSample
from models.ids import IncidentRef, ServiceRef
from models.incident import IncidentRecord, NotificationRecord
from models.notification import Notification
from models.record import RolloutRecord, ToRecord
from records.address import records_address
from records.database import Database
from records.failures import MissingTablesError
from records.incident_rows import incident_record, notification_record, timeline_entry
from records.incident_store import (
    incident_query,
    incidents_query,
    notifications_query,
    put_notification,
    timeline_query,
    write_incident,
)
from records.inserting import insert, newest_stays
from records.migrating import migrate, require, schema_of
from records.rows import audit_entry, audit_row, rollout_record, rollout_row, sample_row, trail_sample
from records.schema import RecordsStatus, Schema
from records.tables import AUDIT_LOG, EVIDENCE_SAMPLES, ROLLOUTS


class RecordStore:
    """Every method raises RecordsError. An async context manager: leaving it closes its connections."""

    def __init__(self, url: SecretStr | None, home: Path) -> None:
        self._database = Database(records_address(url, home))
        self._migrating = asyncio.Lock()
        self._migrated = False

    def __str__(self) -> str:
        return str(self._database.address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._database.aclose()

    async def migrate(self) -> Schema:
        """Bring the tables up to date; return what was found. Two processes may do so at once."""
        async with self._migrating, self._database.writing() as connection:
            found = await connection.run_sync(migrate, self)
        self._migrated = True
        return found

    async def status(self) -> RecordsStatus:
        async with self._database.reading() as connection:
            schema = await connection.run_sync(schema_of)
            counts = [await _count(connection, table) for table in (ROLLOUTS, AUDIT_LOG)] if schema.found else [0, 0]
        return RecordsStatus(database=str(self), **schema.model_dump(), rollouts=counts[0], audit=counts[1])

    async def write(self, entries: ToRecord) -> None:
        """Write everything or nothing, in tables that are made first where there are none.

        Of a rollout the picture with the greatest revision stays; an audit entry that is there stays as it is.
        """
        await self._write(lambda connection: write_on(connection, entries))

    async def add_samples(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        """Keep these samples of a rollout's watch, all or none; one that is there stays as it is."""
        if samples:
            await self._write(lambda connection: add_samples_on(connection, rollout, samples))

    async def put(self, notification: Notification, at: datetime) -> None:
        """Keep a message that was sent; one that is there stays as it is."""
        await self._write(lambda connection: put_notification(connection, notification, at))

    async def _write(self, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        if not self._migrated:
            await self.migrate()
        try:
            await self._write_once(write)
        except MissingTablesError:
            await self.migrate()
            await self._write_once(write)

    async def _write_once(self, write: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        async with self._database.writing() as connection:
            await write(connection)

    async def rollouts(self, ref: ServiceRef, limit: int) -> tuple[RolloutRecord, ...]:
        """The newest first, without the audit entries."""
        query = (
            select(ROLLOUTS)
            .where(ROLLOUTS.c.environment == ref.environment, ROLLOUTS.c.service == ref.service)
            .order_by(ROLLOUTS.c.started_at.desc(), ROLLOUTS.c.run_id)
            .limit(limit)
        )
        return tuple(rollout_record(row) for row in await self._read(query))

    async def rollout(self, key: RolloutKey) -> RolloutRecord | None:
        """One rollout, without the audit entries."""
        query = select(ROLLOUTS).where(ROLLOUTS.c.workflow_id == key.workflow_id, ROLLOUTS.c.run_id == key.run_id)
        return next((rollout_record(row) for row in await self._read(query)), None)

    async def samples(self, rollout: RolloutKey) -> tuple[TrailSample, ...]:
        """The trail of a rollout's watch, in order."""
        table = EVIDENCE_SAMPLES
        query = (
            select(table.c.document)
            .where(table.c.workflow_id == rollout.workflow_id, table.c.run_id == rollout.run_id)
            .order_by(table.c.at)
        )
        return tuple(trail_sample(row) for row in await self._read(query))

    async def incidents(
        self,
        environment: str,
        limit: int,
        *,
        service: str | None = None,
        unfinished: bool = False,
        since: datetime | None = None,
    ) -> tuple[IncidentRecord, ...]:
        """The newest first, without their timelines and alerts; `unfinished` are those that are not closed."""
        query = incidents_query(environment, service, limit, unfinished=unfinished, since=since)
        return tuple(incident_record(row) for row in await self._read(query))

    async def incident(self, ref: IncidentRef, run_id: str | None = None) -> IncidentRecord | None:
        """The newest of a key, or the one that began with this run; with all of its timeline."""
        found = await self._read(incident_query(ref, run_id))
        if not found:
            return None
        entries = await self._read(timeline_query(found[0]["workflow_id"], found[0]["run_id"]))
        return incident_record(found[0], tuple(timeline_entry(row) for row in entries))

    async def notifications(
        self, limit: int, *, target: str | None = None, incident: tuple[str, str] | None = None
    ) -> tuple[NotificationRecord, ...]:
        """To one target, or because of one incident (its workflow and first run); the newest first."""
        rows = await self._read(notifications_query(target, incident, limit))
        return tuple(notification_record(row) for row in rows)

    async def audit(self, ref: ServiceRef | None, limit: int, since: datetime | None = None) -> tuple[AuditEntry, ...]:
        """The newest first, of one service or of all."""
        query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.at.desc(), AUDIT_LOG.c.key.desc()).limit(limit)
        if ref:
            query = query.where(AUDIT_LOG.c.environment == ref.environment, AUDIT_LOG.c.service == ref.service)
        if since:
            query = query.where(AUDIT_LOG.c.at >= since)
        return tuple(audit_entry(row) for row in await self._read(query))

    async def _read(self, query: Select[Any]) -> list[RowMapping]:
        async with self._database.reading() as connection:
            require(await connection.run_sync(schema_of), self)
            return list((await connection.execute(query)).mappings())


async def write_on(connection: AsyncConnection, entries: ToRecord) -> None:
    """Write in the transaction that the connection is in."""
    if entries.rollout:
        await connection.execute(newest_stays(connection, ROLLOUTS, rollout_row(entries.rollout)))
    if entries.incident:
        await write_incident(connection, entries.incident)
    for entry in entries.every_audit:
        await connection.execute(_insert_if_absent(connection, audit_row(entry)))


async def add_samples_on(connection: AsyncConnection, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
    """Write in the transaction that the connection is in; in the order of time, so that no two lock each other up."""
    key = [EVIDENCE_SAMPLES.c.workflow_id, EVIDENCE_SAMPLES.c.run_id, EVIDENCE_SAMPLES.c.at]
    statement = insert(connection, EVIDENCE_SAMPLES).on_conflict_do_nothing(index_elements=key)
    await connection.execute(
        statement, [sample_row(rollout, each) for each in sorted(samples, key=lambda each: each.at)]
    )


async def _count(connection: AsyncConnection, table: Table) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


def _insert_if_absent(connection: AsyncConnection, row: Mapping[str, object]) -> Insert:
    return insert(connection, AUDIT_LOG).values(**row).on_conflict_do_nothing(index_elements=[AUDIT_LOG.c.key])
