"""Messages into the inbox that `holdfast incident inbox` shows."""

from datetime import UTC, datetime

from models.notification import Notification
from providers.roles import Inbox


class ConsoleNotifier:
    """A Notifier. What the inbox raises is let through."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def notify(self, notification: Notification) -> None:
        await self._inbox.put(notification, datetime.now(UTC))
