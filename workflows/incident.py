"""An incident, from its first alert to its end: pages until somebody acknowledges, and forgets nothing."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from analysis import incident_alerts, incident_audit, incident_held, incident_orders, incident_parts
    from analysis.incident_changes import carried, delivered, senseless
    from analysis.incident_time import next_due, passed
    from analysis.incident_view import details_markdown
    from models.base import Payload
    from models.held import HeldNow, HeldSignal, LookedAgain
    from models.incident import (
        TIMELINE_KEPT,
        AddTask,
        AlertSignal,
        Assign,
        FinishTask,
        IncidentOutcome,
        IncidentRequest,
        IncidentRules,
        IncidentState,
        Merge,
        Message,
        Note,
        NotificationRecord,
        Order,
        Part,
        Phase,
        Snooze,
    )
    from models.temporal_names import HELD_QUERY, INCIDENT_WORKFLOW, IncidentSignal
    from workflows.alarm import Alarm
    from workflows.incident_attributes import show
    from workflows.incident_books import IncidentBooks
    from workflows.incident_courier import Courier
    from workflows.incident_lookout import Lookout
    from workflows.incident_meter import IncidentMeter

Said = TypeVar("Said", bound=Payload)
Change = Callable[[IncidentState, IncidentRules, Said, datetime], IncidentState]


@workflow.defn(name=INCIDENT_WORKFLOW)
class Incident:
    """Handlers only decide what the state is next; `run` does what follows from it.

    They take whatever was sent, as what one of them cannot take would be dropped by the SDK, or hold the workflow up.
    """

    @workflow.init
    def __init__(self, request: IncidentRequest) -> None:
        self._request, self._rules = request, request.rules
        self._state = request.state or incident_alerts.opened(request, workflow.now())
        self._news = True
        self._alarm = Alarm(self._wake)
        self._meter = IncidentMeter(request.state)
        targets = (target for level in self._rules.levels for target in level.notify)
        self._courier = Courier(targets, self._was_brought)
        self._lookout = Lookout(self._was_answered)
        self._books = IncidentBooks(request.recorded, self._is_sending)
        if request.state is None:
            self._books.ordered(incident_audit.opened(request, workflow.info().run_id, workflow.now()))
        for entry in request.unrecorded:
            self._books.ordered(entry)
        for message in request.unrecorded_sent:
            self._books.sent(message)
        self._telling: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, request: IncidentRequest) -> IncidentOutcome:
        while True:
            try:
                await self._go_on()
            except asyncio.CancelledError:
                # Cancelled, it would forget whom to page. Who wants it to end resolves it, or terminates it.
                self._become(senseless(self._state, workflow.now(), "cancel", "an incident ends by being resolved"))
            if self._is_over() and not self._books.lacks(self._state):
                return self._outcome()
            if self._run_is_full():
                self._begin_anew()

    async def _go_on(self) -> None:
        """Until it is over, or the run full, and all of it is recorded; what is said meanwhile may change that."""
        self._do_what_is_due()
        while not self._is_over() and not self._run_is_full():
            await workflow.wait_condition(lambda: self._news)
            self._do_what_is_due()
        await self._books.end(self._state)

    def _do_what_is_due(self) -> None:
        self._news = False
        self._state = incident_alerts.strange_noted(self._state, workflow.now())
        self._state = incident_held.joined(self._state, self._rules, workflow.now())
        self._state = passed(self._state, self._rules, workflow.now())
        self._meter.look(self._state)
        self._books.show(self._state)
        self._state = self._state.model_copy(update={"timeline": self._state.timeline[-TIMELINE_KEPT:]})
        self._courier.tend(self._state)
        self._lookout.tend(self._state)
        if self._state.messages and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())
        self._alarm.set(next_due(self._state, self._rules))
        show(self._state)
        workflow.set_current_details(details_markdown(self._state))

    def _is_over(self) -> bool:
        busy = bool(self._state.outbox or self._state.messages) or self._state.looking
        return self._state.phase is Phase.CLOSED and not busy

    def _run_is_full(self) -> bool:
        """Well before Temporal's own limit; at twice the number, also while something is being sent or asked, which is
        then sent or asked again under the same key.
        """
        info = workflow.info()
        events = info.get_current_history_length()
        if events >= 2 * self._request.events_per_run or info.is_continue_as_new_suggested():
            return True
        busy = self._courier.busy or self._lookout.busy or bool(self._state.messages)
        return events >= self._request.events_per_run and not busy

    def _begin_anew(self) -> None:
        books = self._books
        changes = {
            "state": carried(self._state),
            "recorded": books.recorded,
            "unrecorded": books.unrecorded,
            "unrecorded_sent": books.unrecorded_sent,
        }
        workflow.continue_as_new(self._request.model_copy(update=changes))

    def _outcome(self) -> IncidentOutcome:
        return IncidentOutcome.model_validate(self._state.model_dump(include=set(IncidentOutcome.model_fields)))

    @workflow.signal(name=IncidentSignal.FIRED)
    def fired(self, *said: Any) -> None:
        self._hear_each(IncidentSignal.FIRED, said, incident_alerts.fired)

    @workflow.signal(name=IncidentSignal.CLEARED)
    def cleared(self, *said: Any) -> None:
        self._hear_each(IncidentSignal.CLEARED, said, incident_alerts.cleared)

    @workflow.signal(name=IncidentSignal.HELD)
    def held(self, *said: Any) -> None:
        for each in said or (None,):
            self._hear(IncidentSignal.HELD, HeldSignal, (each,), incident_held.held)

    @workflow.signal(name=IncidentSignal.ACKNOWLEDGE)
    def acknowledge(self, *said: Any) -> None:
        self._hear(IncidentSignal.ACKNOWLEDGE, Order, said, incident_orders.acknowledged)

    @workflow.signal(name=IncidentSignal.RESOLVE)
    def resolve(self, *said: Any) -> None:
        self._hear(IncidentSignal.RESOLVE, Order, said, incident_orders.resolved_by)

    @workflow.signal(name=IncidentSignal.ESCALATE)
    def escalate(self, *said: Any) -> None:
        self._hear(IncidentSignal.ESCALATE, Order, said, incident_orders.escalated)

    @workflow.signal(name=IncidentSignal.SNOOZE)
    def snooze(self, *said: Any) -> None:
        self._hear(IncidentSignal.SNOOZE, Snooze, said, incident_orders.snoozed)

    @workflow.signal(name=IncidentSignal.UNSNOOZE)
    def unsnooze(self, *said: Any) -> None:
        self._hear(IncidentSignal.UNSNOOZE, Order, said, incident_orders.unsnoozed)

    @workflow.signal(name=IncidentSignal.NOTE)
    def note(self, *said: Any) -> None:
        self._hear(IncidentSignal.NOTE, Note, said, incident_orders.annotated)

    @workflow.signal(name=IncidentSignal.ASSIGN)
    def assign(self, *said: Any) -> None:
        self._hear(IncidentSignal.ASSIGN, Assign, said, incident_orders.assigned)

    @workflow.signal(name=IncidentSignal.ADD_TASK)
    def add_task(self, *said: Any) -> None:
        self._hear(IncidentSignal.ADD_TASK, AddTask, said, incident_orders.with_task)

    @workflow.signal(name=IncidentSignal.FINISH_TASK)
    def finish_task(self, *said: Any) -> None:
        self._hear(IncidentSignal.FINISH_TASK, FinishTask, said, incident_orders.with_task_done)

    @workflow.signal(name=IncidentSignal.MERGE)
    def merge(self, *said: Any) -> None:
        self._hear(IncidentSignal.MERGE, Merge, said, incident_parts.merged)

    @workflow.signal(name=IncidentSignal.SPLIT)
    def split(self, *said: Any) -> None:
        self._hear(IncidentSignal.SPLIT, Order, said, incident_parts.split)

    @workflow.signal(name=IncidentSignal.PART)
    def part(self, *said: Any) -> None:
        self._hear(IncidentSignal.PART, Part, said, incident_parts.with_part)

    @workflow.signal(dynamic=True)
    def anything_else(self, name: str, _: Sequence[RawValue]) -> None:
        known = ", ".join(IncidentSignal)
        self._become(senseless(self._state, workflow.now(), name[:100], f"an incident knows {known}"))

    @workflow.query(name=HELD_QUERY)
    def held_now(self) -> HeldNow:
        return HeldNow(alerts=self._state.held)

    @workflow.query
    def state(self) -> IncidentState:
        return self._state

    def _hear_each(self, what: IncidentSignal, said: tuple[Any, ...], change: Change[AlertSignal]) -> None:
        """Alerts of several requests may come in one signal, an argument each."""
        for each in said or (None,):
            self._hear(what, AlertSignal, (each,), change)

    def _hear(self, what: IncidentSignal, kind: type[Said], said: tuple[Any, ...], change: Change[Said]) -> None:
        before, now = self._state, workflow.now()
        try:
            order = kind.model_validate(_as_object(kind, said))
        except ValidationError as error:
            wrong = "; ".join(f"{_place(each['loc'])}{each['msg']}" for each in error.errors()[:3])
            self._become(senseless(self._state, now, what, f"it was not understood: {wrong}"[:1000]))
            asked = incident_audit.whose(said[0] if said else None)
        else:
            self._become(change(self._state, self._rules, order, now))
            asked = order if isinstance(order, Order) else Order()
        if issubclass(kind, Order):
            self._books.ordered(incident_audit.heard(before, self._state, what, asked, workflow.info().run_id, now))

    def _become(self, state: IncidentState) -> None:
        if state is not self._state:
            self._state = state
            self._wake()

    def _wake(self) -> None:
        self._news = True

    def _is_sending(self) -> bool:
        return self._courier.busy

    def _was_answered(self, found: LookedAgain) -> None:
        self._become(incident_held.looked(self._state, self._rules, found, workflow.now()))
        self._wake()

    def _was_brought(self, step: int, record: NotificationRecord) -> None:
        self._books.sent(record)
        self._meter.brought(record)
        target = record.notification.target.name
        self._state = delivered(self._state, step, target, workflow.now(), record.problem)
        self._wake()  # even where it changes nothing, as the message is to be recorded

    async def _tell(self) -> None:
        """Other incidents, one message after the other, so that they hear the newest last."""
        while self._state.messages:
            message = self._state.messages[0]
            heard = await _signal(message)
            state = self._state.model_copy(update={"messages": self._state.messages[1:]})
            if not heard:
                state = incident_parts.not_heard(state, self._rules, message, workflow.now())
            self._become(state)


async def _signal(message: Message) -> bool:
    try:
        handle = workflow.get_external_workflow_handle(message.workflow_id)
        await handle.signal(message.signal, message.part or message.order or Order())
    except FailureError:
        return False
    return True


def _as_object(kind: type[Payload], said: tuple[Any, ...]) -> object:
    """What was sent, where nothing stands for an empty object and a bare text or number for its usual field."""
    value = said[0] if said else None
    if value is None:
        return {}
    return value if isinstance(value, dict) or not issubclass(kind, Order) else {kind.SHORT: value}


def _place(path: tuple[int | str, ...]) -> str:
    return f"{'.'.join(str(part)[:50] for part in path)}: " if path else ""
