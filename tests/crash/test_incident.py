"""kill -9 while an incident pages: every level that falls due is paged once, whoever died on the way."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import Client

from models.ids import IncidentRef, incident_id
from models.incident import (
    AlertSignal,
    EscalationLevel,
    IncidentRequest,
    IncidentRules,
    NotificationRecord,
    Order,
    Phase,
)
from models.notification import ConsoleTarget, NotificationKind, NotifyTarget
from models.severity import Severity
from models.temporal_names import IncidentSignal, TaskQueue
from records.errors import RecordsError
from records.store import RecordStore
from runtime.plugin import holdfast_plugin
from starters.handles import incident_called
from tests.analysis.incident_factories import an_alert
from tests.crash.no_answer import NO_ANSWER
from tests.crash.plan import CrashFolder, Death, Moment
from tests.whole.platform import Platform
from tests.workflows.harness import until
from workflows.incident import Incident

FULL = os.environ.get("HOLDFAST_CRASH") == "full"
MOMENTS = tuple(Moment) if FULL else (Moment.AFTER,)
LEVELS = 3
WAIT = timedelta(seconds=3)
ENDS_WITHIN = 120.0
VICTIMS = {
    "the worker that decides": ("worker", "incidents"),
    "the worker that notifies": ("worker", "notifications"),
    "the Temporal server": ("start-dev",),
    "everything": (),
}


@dataclass
class Emergency:
    """An incident of a service that no other test uses, which pages the inbox level by level."""

    platform: Platform
    client: Client
    ref: IncidentRef

    @property
    def id(self) -> str:
        return incident_id(self.ref)

    async def begin(self) -> None:
        level = EscalationLevel(notify=(NotifyTarget(name="console", spec=ConsoleTarget()),), wait=WAIT)
        request = IncidentRequest(
            ref=self.ref,
            title="error rate is high",
            severity=Severity.SEV1,
            rules=IncidentRules(levels=(level,) * LEVELS, repeat=0),
        )
        await self.client.start_workflow(
            Incident.run,
            request,
            id=self.id,
            task_queue=TaskQueue.INCIDENTS,
            start_signal=IncidentSignal.FIRED,
            start_signal_args=[AlertSignal(alerts=(an_alert(),))],
        )

    async def inbox(self, kind: NotificationKind = NotificationKind.PAGE) -> list[NotificationRecord]:
        """What the inbox holds of it, in the order in which it was put there."""
        async with RecordStore(None, self.platform.home) as store:
            with suppress(RecordsError):
                found = await store.notifications(1_000, target="console")
                mine = [each for each in found if each.notification.workflow_id == self.id]
                of_kind = [each for each in mine if each.notification.kind is kind and each.sent_at]
                return sorted(of_kind, key=lambda each: (each.sent_at, each.notification.step))
        return []

    async def until_paged(self, pages: int) -> list[NotificationRecord]:
        async def paged() -> bool:
            return len(await self.inbox()) >= pages

        await until(paged, f"{pages} pages", within=ENDS_WITHIN)
        return await self.inbox()

    async def tell(self, signal: IncidentSignal) -> None:
        """Said again while Temporal is dead."""

        async def taken() -> bool:
            with suppress(*NO_ANSWER):
                handle = (await self.connected()).get_workflow_handle(self.id)
                await handle.signal(signal, Order(by="ada"), rpc_timeout=timedelta(seconds=3))
                return True
            return False

        await until(taken, f"{signal} to be taken", within=ENDS_WITHIN)

    async def until_phase(self, phase: Phase) -> None:
        async def reached() -> bool:
            with suppress(*NO_ANSWER):
                handle = incident_called(await self.connected(), self.id)
                return (await handle.query(Incident.state, rpc_timeout=timedelta(seconds=5))).phase is phase
            return False

        await until(reached, f"the incident to be {phase}", within=ENDS_WITHIN)

    async def connected(self) -> Client:
        """Anew, as after everything died the server has another port."""
        return await Client.connect(self.platform.record["temporal"], plugins=[holdfast_plugin()], lazy=True)


@pytest_asyncio.fixture
async def emergency(mortal_platform: Platform) -> AsyncIterator[Emergency]:
    client = await Client.connect(mortal_platform.record["temporal"], plugins=[holdfast_plugin()])
    ref = IncidentRef(environment="local", service=f"shop-{uuid.uuid4().hex[:8]}", key="high-error-rate")
    yield Emergency(mortal_platform, client, ref)


def assert_each_level_once(pages: list[NotificationRecord]) -> None:
    """In whichever order: a page whose worker died is noticed after seconds, and holds up none that is due later."""
    assert sorted(page.notification.level for page in pages) == list(range(1, LEVELS + 1))
    due = sorted(page.notification.due_at for page in pages)
    assert [at - due[0] for at in due] == [step * WAIT for step in range(LEVELS)]


@pytest.mark.parametrize("nth", range(1, LEVELS + 1) if FULL else (2,))
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_death_while_paging(emergency: Emergency, moment: Moment, nth: int) -> None:
    folder = CrashFolder(emergency.platform.home)
    folder.plan(Death(workflow_id=emergency.id, activity="notify.send", nth=nth, moment=moment))
    await emergency.begin()
    pages = await emergency.until_paged(LEVELS)

    async def dead() -> bool:
        return folder.due is None

    await until(dead, "the worker to die where it was told to")
    assert_each_level_once(pages)
    await emergency.tell(IncidentSignal.RESOLVE)


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_death_while_recording(emergency: Emergency, moment: Moment) -> None:
    folder = CrashFolder(emergency.platform.home)
    folder.plan(Death(workflow_id=emergency.id, activity="records.write", nth=1, moment=moment))
    await emergency.begin()
    await emergency.until_paged(LEVELS)
    await emergency.tell(IncidentSignal.ACKNOWLEDGE)
    await emergency.until_phase(Phase.ACKNOWLEDGED)

    async def recorded() -> bool:
        async with RecordStore(None, emergency.platform.home) as store:
            record = await store.incident(emergency.ref)
            return record is not None and record.phase is Phase.ACKNOWLEDGED

    await until(recorded, "the acknowledge in the records", within=ENDS_WITHIN)
    async with RecordStore(None, emergency.platform.home) as store:
        record = await store.incident(emergency.ref)
    assert record
    assert [entry.number for entry in record.timeline] == list(range(1, len(record.timeline) + 1))
    assert len([entry for entry in record.timeline if "is paged" in entry.text]) == LEVELS
    await emergency.tell(IncidentSignal.RESOLVE)


@pytest.mark.parametrize(
    "victim", VICTIMS if FULL else (pytest.param("the worker that decides", marks=pytest.mark.full), "everything")
)
async def test_the_death_of_a_process_while_it_escalates(emergency: Emergency, victim: str) -> None:
    await emergency.begin()
    await emergency.until_paged(1)
    await asyncio.to_thread(_kill, emergency.platform, victim)

    assert_each_level_once(await emergency.until_paged(LEVELS))
    await emergency.tell(IncidentSignal.ACKNOWLEDGE)
    await emergency.until_phase(Phase.ACKNOWLEDGED)
    await emergency.tell(IncidentSignal.RESOLVE)


def _kill(platform: Platform, victim: str) -> None:
    if victim == "everything":
        platform.kill_everything()
        platform.start()
    else:
        platform.kill(*VICTIMS[victim])
