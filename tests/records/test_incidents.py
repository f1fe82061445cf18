"""Incidents, their timelines and what was sent, kept in both databases."""

import asyncio
from datetime import datetime, timedelta

from models.ids import incident_id
from models.incident import IncidentRecord, NotificationRecord, Phase, Task, TimelineEntry, TrackedAlert
from models.notification import ConsoleTarget, Notification, NotificationKind, NotifyTarget
from models.record import ToRecord
from models.severity import Severity
from records.store import RecordStore
from tests.analysis.incident_factories import REF, later
from tests.factories import WHEN


def an_entry(number: int) -> TimelineEntry:
    return TimelineEntry(number=number, at=later(number), text=f"entry {number} \x00 \U0001f6a2", by="ada")


def a_message(step: int = 1, target: str = "console") -> Notification:
    return Notification(
        key=f"{incident_id(REF)}/run-1/1/{step}/{target}",
        kind=NotificationKind.PAGE,
        target=NotifyTarget(name=target, spec=ConsoleTarget()),
        incident=REF,
        workflow_id=incident_id(REF),
        run_id="run-1",
        severity=Severity.SEV1,
        phase="triggered",
        title="error rate is high",
        text="1 alerts",
        level=1,
        step=step,
        due_at=later(step),
    )


def a_record(
    *entries: TimelineEntry,
    revision: int = 1,
    phase: Phase = Phase.TRIGGERED,
    run_id: str = "run-1",
    opened_at: datetime = WHEN,
    sent: tuple[NotificationRecord, ...] = (),
) -> IncidentRecord:
    return IncidentRecord(
        workflow_id=incident_id(REF),
        run_id=run_id,
        revision=revision,
        ref=REF,
        title="error rate is high",
        severity=Severity.SEV1,
        phase=phase,
        opened_at=opened_at,
        closed_at=later(60) if phase.final else None,
        count=7,
        commander="grace",
        responders=("ada", "linus"),
        tasks=(Task(number=1, text="look", by="ada", done_at=later(3), done_by="linus"),),
        alerts=(TrackedAlert(title="a \U0001f6a2", source="s", service="shop", fires=False, since=later(2), count=5),),
        timeline=entries,
        notifications=sent,
    )


async def test_the_newest_picture_stays_and_every_entry_is_kept_once(store: RecordStore) -> None:
    await store.write(ToRecord(incident=a_record(an_entry(1), an_entry(2), revision=2, phase=Phase.ACKNOWLEDGED)))
    await store.write(ToRecord(incident=a_record(an_entry(1), revision=1)))
    await store.write(ToRecord(incident=a_record(an_entry(2), an_entry(3), revision=3, phase=Phase.RESOLVED)))

    found = await store.incident(REF)
    assert found
    assert (found.phase, found.revision, found.responders) == (Phase.RESOLVED, 3, ("ada", "linus"))
    assert [entry.number for entry in found.timeline] == [1, 2, 3]
    assert found.timeline[0].text == "entry 1 \ufffd \U0001f6a2"
    assert found.tasks == a_record().tasks
    assert found.alerts == a_record().alerts
    assert [each.alerts for each in await store.incidents("local", 10)] == [()]


async def test_incidents_are_listed_the_newest_first(store: RecordStore) -> None:
    for number, phase in enumerate((Phase.CLOSED, Phase.TRIGGERED, Phase.RESOLVED)):
        opened = WHEN + number * timedelta(days=1)
        await store.write(ToRecord(incident=a_record(run_id=f"run-{number}", phase=phase, opened_at=opened)))

    async def runs(**asked: object) -> list[str]:
        return [each.run_id for each in await store.incidents("local", 10, **asked)]  # type: ignore[arg-type]

    assert await runs() == ["run-2", "run-1", "run-0"]
    assert await runs(unfinished=True) == ["run-2", "run-1"]
    assert await runs(since=WHEN + timedelta(days=2)) == ["run-2"]
    assert await runs(service="blog") == []
    assert (await store.incident(REF, "run-0")) == a_record(run_id="run-0", phase=Phase.CLOSED)


async def test_a_message_is_in_the_inbox_once_however_often_it_is_put(store: RecordStore) -> None:
    await store.migrate()
    await asyncio.gather(*(store.put(a_message(), later(minute)) for minute in range(5)))
    told = NotificationRecord(notification=a_message(2, "pager"), problem="pager says no")
    await store.write(ToRecord(incident=a_record(sent=(NotificationRecord(notification=a_message()), told))))

    (mine,) = await store.notifications(10, target="console")
    assert mine.notification == a_message()
    assert mine.sent_at
    of_incident = await store.notifications(10, incident=(incident_id(REF), "run-1"))
    assert [each.problem for each in of_incident] == ["pager says no", ""]
