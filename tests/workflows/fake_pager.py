"""People with pagers, in memory: what they got, in order, and when."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.audit import AuditEntry
from models.deployment import Done
from models.incident import IncidentRecord
from models.notification import Delivered, Notification, NotificationKind
from models.record import ToRecord


class FakePager:
    """`away` are targets that do not answer, `refusing` those that refuse for good; at a first attempt to tell those
    that are `dying` nothing is heard of the worker any more. Attempts are counted by key.
    """

    def __init__(self) -> None:
        self.got: list[Notification] = []
        self.attempts: dict[str, int] = defaultdict(int)
        self.away: set[str] = set()
        self.refusing: set[str] = set()
        self.hanging: set[str] = set()
        self.dying: set[str] = set()
        self.pictures: list[IncidentRecord] = []
        self.audit: list[AuditEntry] = []

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.notify, self.write]

    @activity.defn(name="notify.send")
    async def notify(self, notification: Notification) -> Delivered:
        self.attempts[notification.key] += 1
        target = notification.target.name
        if target in self.refusing:
            raise ApplicationError(f"{target} says no", type="ProviderError", non_retryable=True)
        if target in self.away:
            raise ApplicationError(f"{target} is away", type="ProviderError")
        if target in self.dying and activity.info().attempt == 1:
            await asyncio.Event().wait()
        while target in self.hanging:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        self.got.append(notification)
        return Delivered(key=notification.key, at=activity.info().started_time)

    @activity.defn(name="records.write")
    async def write(self, entries: ToRecord) -> Done:
        if entries.incident:
            self.pictures.append(entries.incident)
        self.audit += [entry for entry in entries.audit if entry not in self.audit]
        return Done()

    def pages(self, workflow_id: str) -> list[tuple[int, str]]:
        """Level and target of every page that somebody got, in order."""
        return [(each.level, each.target.name) for each in self.of(workflow_id, NotificationKind.PAGE)]

    def updates(self, workflow_id: str) -> list[tuple[str, str]]:
        return [(each.target.name, each.text) for each in self.of(workflow_id, NotificationKind.UPDATE)]

    def of(self, workflow_id: str, kind: NotificationKind) -> list[Notification]:
        return [each for each in self.got if each.workflow_id == workflow_id and each.kind is kind]

    def due(self, workflow_id: str) -> list[datetime]:
        return [each.due_at for each in self.of(workflow_id, NotificationKind.PAGE)]

    def timeline(self, workflow_id: str) -> list[str]:
        """Everything that was recorded of an incident, in order and once."""
        entries = {
            entry.number: entry.text
            for picture in self.pictures
            if picture.workflow_id == workflow_id
            for entry in picture.timeline
        }
        return [entries[number] for number in sorted(entries)]
