"""Brings what an incident has decided to people: in order, each once, and not once nobody needs to act any more."""

import asyncio
from collections.abc import Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.notifications import NotificationActivities
    from analysis.incident_view import headline
    from models.ids import incident_id
    from models.incident import IncidentState, NotificationRecord, Page
    from models.notification import Notification, NotificationKind, NotifyTarget
    from models.temporal_names import TaskQueue
    from workflows.policies import HEAD_START, PAGE, UPDATE, on

Report = Callable[[int, NotificationRecord], None]
"""Told which step was brought to one of its targets, or will never be."""


class Courier:
    """`targets` are all that the policy may name."""

    def __init__(self, targets: Iterable[NotifyTarget], report: Report) -> None:
        self._targets = {target.name: target for target in targets}
        self._report = report
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._last: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return any(not task.done() for task in self._under_way.values())

    def tend(self, state: IncidentState) -> None:
        """Begin what is decided and was not begun; cut off what is not decided any more."""
        wanted = {page.step for page in state.outbox}
        for step, task in list(self._under_way.items()):
            if step not in wanted:
                task.cancel()
                del self._under_way[step]
        for page in state.outbox:
            if page.step not in self._under_way:
                due = [self._targets[name] for name in page.targets if name not in page.sent]
                messages = [_message(state, page, target) for target in due]
                self._last = asyncio.create_task(self._bring(page, messages, self._last))
                self._under_way[page.step] = self._last

    async def _bring(self, page: Page, messages: list[Notification], before: asyncio.Task[None] | None) -> None:
        if before and not before.done():
            await workflow.wait([before], timeout=HEAD_START.total_seconds())
        await asyncio.gather(*(self._to_one(page, message) for message in messages))

    async def _to_one(self, page: Page, message: Notification) -> None:
        policy = PAGE if page.kind is NotificationKind.PAGE else UPDATE
        summary = f"{page.kind} {message.target.name}: {message.severity} {message.title}"[:200]
        try:
            sent = await workflow.execute_activity_method(
                NotificationActivities.notify, message, **on(TaskQueue.NOTIFICATIONS, policy, summary)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause or error)
            self._report(page.step, NotificationRecord(notification=message, problem=said))
        else:
            self._report(page.step, NotificationRecord(notification=message, sent_at=sent.at))


def _message(state: IncidentState, page: Page, target: NotifyTarget) -> Notification:
    """The key tells the incident, its first run, the level, the step and the target: the same at every attempt."""
    workflow_id, run_id = incident_id(state.ref), workflow.info().first_execution_run_id
    return Notification(
        key=f"{workflow_id}/{run_id}/{page.level}/{page.step}/{target.name}",
        kind=page.kind,
        target=target,
        incident=state.ref,
        workflow_id=workflow_id,
        run_id=run_id,
        severity=state.severity,
        phase=state.phase,
        title=state.title,
        description=state.description,
        links=state.links,
        text=page.text if page.kind is NotificationKind.UPDATE else f"{state.count} alerts; {headline(state)}",
        level=page.level,
        step=page.step,
        due_at=page.due_at,
        acknowledge_with=f"holdfast incident ack {state.ref}" if page.kind is NotificationKind.PAGE else "",
    )
