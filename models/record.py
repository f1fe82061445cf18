"""What is kept beyond Temporal's retention: one record per rollout, and who ordered what."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import Field

from models.audit import AuditEntry
from models.base import Payload
from models.ids import ServiceRef, Version
from models.incident import IncidentRecord, NotificationRecord
from models.incident import TimelineEntry as IncidentEntry
from models.judgement import Verdict
from models.rollout import PastRollout, Phase, TimelineEntry


class RolloutRecord(Payload):
    """One rollout as it was seen at one moment; without an end it is under way.

    The workflow id and the id of its first run name it. `revision` grows with each picture taken of it; of two
    pictures the one with the greater revision is kept.
    """

    workflow_id: str
    run_id: str
    revision: int = 0
    ref: ServiceRef
    version: Version
    stable_before: Version | None = None
    strategy: str
    requested_by: str
    note: str = Field(default="", description="why it was asked for")
    phase: Phase
    reason: str = Field(default="", description="why it stands, or ended, as it did")
    started_at: datetime
    ended_at: datetime | None = None
    exposed_at: datetime | None = None
    decided_at: datetime | None = None
    off_at: datetime | None = Field(default=None, description="when the candidate's weight was confirmed to be 0")
    verdict: Verdict | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    audit: tuple[AuditEntry, ...] = Field(default=(), description="in the order in which it was heard")

    @property
    def past(self) -> PastRollout:
        """Its line in the service's history."""
        return PastRollout(
            version=self.version,
            strategy=self.strategy,
            phase=self.phase,
            started_at=self.started_at,
            ended_at=self.ended_at,
            run_id=self.run_id,
        )


class IncidentPicture(IncidentRecord):
    """An incident's record, and the orders that were heard, in their order."""

    audit: tuple[AuditEntry, ...] = Field(default=(), description="those not recorded before")


class ToRecord(Payload):
    """What is to be written, in one transaction. Writing it again changes nothing."""

    rollout: RolloutRecord | None = None
    incident: IncidentRecord | None = None
    audit: tuple[AuditEntry, ...] = Field(default=(), description="beside the rollout's own")

    @property
    def every_audit(self) -> tuple[AuditEntry, ...]:
        return (*(self.rollout.audit if self.rollout else ()), *self.audit)


Entry = IncidentEntry | NotificationRecord | AuditEntry

MOST_IN_A_SLICE = 500
LARGEST_SLICE = 400_000
"""Bytes of entries. With all else that a picture holds they fit into what Temporal carries, 2 MiB."""


def rollout_entries(picture: RolloutRecord, before: RolloutRecord | None) -> ToRecord:
    """What is to be written of a picture when `before` is written already."""
    known = len(before.audit) if before else 0
    return ToRecord(rollout=picture.model_copy(update={"audit": picture.audit[known:]}))


def incident_entries(picture: IncidentPicture, before: IncidentPicture | None) -> ToRecord:
    """What is to be written of a picture when `before` is written already."""
    new = {
        "timeline": picture.timeline[len(before.timeline) if before else 0 :],
        "notifications": picture.notifications[len(before.notifications) if before else 0 :],
    }
    kept = {name: getattr(picture, name) for name in IncidentRecord.model_fields}
    audit = picture.audit[len(before.audit) if before else 0 :]
    return ToRecord(incident=IncidentRecord.model_construct(**{**kept, **new}), audit=audit)


def sliced(entries: ToRecord) -> Iterator[ToRecord]:
    """The same in parts that Temporal carries, in order: what an incident was told while the database was away may be
    more than fits into one. Each has all of the picture but the others' entries.
    """
    told = entries.incident
    timeline = told.timeline if told else ()
    notifications = told.notifications if told else ()
    for part in _fitting((*timeline, *notifications, *entries.audit)):
        of_incident = {
            "timeline": tuple(each for each in part if isinstance(each, IncidentEntry)),
            "notifications": tuple(each for each in part if isinstance(each, NotificationRecord)),
        }
        yield ToRecord(
            rollout=entries.rollout,
            incident=told and told.model_copy(update=of_incident),
            audit=tuple(each for each in part if isinstance(each, AuditEntry)),
        )


def _fitting(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """At least one part, which may be empty."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        more = len(entry.model_dump_json().encode())
        if part and (len(part) == MOST_IN_A_SLICE or size + more > LARGEST_SLICE):
            yield part
            part, size = [], 0
        part.append(entry)
        size += more
    yield part
