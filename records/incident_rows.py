"""Rows of incidents, and the models that they are made of."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from models.ids import IncidentRef
from models.incident import IncidentRecord, NotificationRecord, TimelineEntry
from models.notification import Notification
from records.rows import storable

_AS_JSON = {"responders", "tasks", "alerts"}
_APART = {"timeline", "notifications"}


def incident_row(record: IncidentRecord) -> dict[str, Any]:
    row = {**record.model_dump(exclude={"ref", *_APART, *_AS_JSON}), **record.ref.model_dump()}
    row.update(record.model_dump(mode="json", include=_AS_JSON))
    return storable(row)


def incident_record(row: RowMapping, timeline: tuple[TimelineEntry, ...] = ()) -> IncidentRecord:
    ref = IncidentRef(environment=row["environment"], service=row["service"], key=row["key"])
    alerts = (
        row.get("alerts") or ()
    )  # none were kept before there was the column, and a list of incidents leaves them out
    return IncidentRecord.model_validate({**row, "ref": ref, "alerts": alerts, "timeline": timeline})


def entry_row(record: IncidentRecord, entry: TimelineEntry) -> dict[str, Any]:
    return storable({"workflow_id": record.workflow_id, "run_id": record.run_id, **entry.model_dump()})


def timeline_entry(row: RowMapping) -> TimelineEntry:
    return TimelineEntry.model_validate(dict(row))


def notification_row(notification: Notification, sent_at: datetime | None, problem: str = "") -> dict[str, Any]:
    row = {
        "target": notification.target.name,
        "sent_at": sent_at,
        "problem": problem,
        "document": notification.model_dump(mode="json"),
        **notification.model_dump(include={"key", "workflow_id", "run_id", "kind", "level", "step", "due_at"}),
    }
    return storable(row)


def notification_record(row: RowMapping) -> NotificationRecord:
    return NotificationRecord(
        notification=Notification.model_validate(row["document"]), sent_at=row["sent_at"], problem=row["problem"]
    )
