"""Telling people."""

from collections.abc import Callable, Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import provider_errors
from activities.heartbeats import heartbeating
from activities.records import records_errors
from models.notification import Delivered, Notification
from providers.roles import Notifier


class NotificationActivities:
    """`notifiers` by the kind of target. Each attempt sends the same message under the same key."""

    def __init__(self, notifiers: Mapping[str, Notifier]) -> None:
        self._notifiers = notifiers

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.notify]

    @activity.defn(name="notify.send")
    async def notify(self, notification: Notification) -> Delivered:
        kind = notification.target.spec.kind
        notifier = self._notifiers.get(kind)
        if notifier is None:
            raise ApplicationError(f"This worker cannot notify by {kind}; upgrade it.", type="UnknownTarget")
        async with heartbeating():
            with provider_errors(kind), records_errors():
                await notifier.notify(notification)
        return Delivered(key=notification.key, at=activity.info().started_time)
