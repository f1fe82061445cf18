"""kill -9 of gateway, workers and Temporal in turn while alerts come in: what was answered 2xx is in an incident.

One service in ten is silenced for longer than alerts come, so nothing but its incident remembers what it was told.
"""

import asyncio
import itertools
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from analysis.dedupe import dedupe_key
from benchmarks.alert_sending import Connection, an_alert, body_of_alerts
from benchmarks.alert_sink import Sink, a_sink
from benchmarks.alert_stage import a_catalog
from models.incident import IncidentState, Phase
from runtime.plugin import holdfast_plugin
from starters.handles import incident_called
from tests.crash.conftest import FULL
from tests.crash.no_answer import NO_ANSWER
from tests.whole.platform import Platform
from tests.workflows.harness import until as until_async
from workflows.incident import Incident

ALERTS, KEYS, AT_ONCE = (10_000, 500, 32) if FULL else (600, 30, 8)
KILL_EVERY = 5.0
LEAST_DEATHS = 10 if FULL else 5
LASTS = 600 if FULL else 15
"""Seconds in which they are sent, at least, so that deaths are many."""

SILENT_FOR = LASTS + 20
"""Seconds from before the first alert. The deaths go on for as long, and a little longer."""

ENDS_WITHIN = 1_500 if FULL else 150
PAUSE = 0.5
VICTIMS = (
    ("starters.main", "gateway"),
    ("worker", "incidents"),
    ("start-dev",),
    ("worker", "notifications"),
    ("worker", "records"),
)


@dataclass
class Flood:
    """Alert `n` is of service `n % KEYS`, and one of its own there. Each is sent until it is answered 2xx."""

    platform: Platform
    sink: Sink
    mine: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    answers: Counter[object] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    held: int = 0

    def service(self, number: int) -> str:
        return f"shop-{self.mine}-{number % KEYS}"

    def key(self, number: int) -> str:
        return dedupe_key("alertmanager", f"{self.mine}-{number}", "HighErrorRate")

    async def send(self, connection: Connection, number: int) -> None:
        body = body_of_alerts([{**an_alert(self.service(number)), "fingerprint": f"{self.mine}-{number}"}])
        header = f"Idempotency-Key: {self.mine}-{number}\r\n"
        while True:
            try:
                async with asyncio.timeout(30):
                    status, answer = await connection.post("/webhooks/alertmanager", body, header)
            except (OSError, EOFError, TimeoutError) as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[status] += 1
                if status == 200:
                    self.held += json.loads(answer)["suppressed"] != []
                    return
                assert status == 503, "only what may be sent again is to be refused"
            await asyncio.sleep(PAUSE)

    async def silence(self) -> None:
        match = [f"service=~shop-{self.mine}-[0-9]*0"]
        body = json.dumps({"match": match, "for": f"{SILENT_FOR}s", "reason": "a move"}).encode()
        connection = Connection(self.platform.record["gateway"])
        status, answer = await connection.post("/silences", body)
        connection.close()
        assert status == 201, answer

    async def send_all(self) -> None:
        numbers, began = iter(range(ALERTS)), time.monotonic()

        async def some() -> None:
            connection = Connection(self.platform.record["gateway"])
            for number in numbers:
                await asyncio.sleep(began + LASTS * number / ALERTS - time.monotonic())
                await self.send(connection, number)
            connection.close()

        async with asyncio.timeout(ENDS_WITHIN):
            await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def kill_in_turn(self, over: asyncio.Event) -> None:
        for words in itertools.cycle(VICTIMS):
            if over.is_set() and self.deaths.total() >= LEAST_DEATHS:
                return
            await asyncio.sleep(KILL_EVERY)
            with suppress(psutil.NoSuchProcess, LookupError):
                await asyncio.to_thread(self.platform.kill, *words)
                self.deaths[words[-1]] += 1

    async def client(self) -> Client:
        """Once the server that was killed last serves again."""
        found: list[Client] = []

        async def serves() -> bool:
            with suppress(*NO_ANSWER):
                found.append(await Client.connect(self.platform.record["temporal"], plugins=[holdfast_plugin()]))
            return bool(found)

        await until_async(serves, "Temporal to serve", within=60)
        return found[0]


@pytest_asyncio.fixture(loop_scope="session")
async def sink() -> AsyncIterator[Sink]:
    async with a_sink() as sink:
        yield sink


@pytest.fixture
def flooded(sink: Sink, tmp_path: Path, temporal_cli: Path) -> Iterator[Platform]:
    catalog = tmp_path / "holdfast.yaml"
    written = a_catalog(sink.address, [{"notify": ["sink"], "wait": "12h"}])
    written["incidents"]["group_by"] = ["service"]
    catalog.write_text(json.dumps(written))
    platform = Platform(tmp_path)
    platform.env["HOLDFAST_CATALOG"] = str(catalog)
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


@pytest.mark.timeout(ENDS_WITHIN + 600)
async def test_deaths_in_turn_lose_no_alert_that_was_answered_and_no_page(
    flooded: Platform, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    flood, over = Flood(flooded, sink), asyncio.Event()
    await flood.silence()
    began = time.monotonic()
    killing = asyncio.create_task(flood.kill_in_turn(over))
    try:
        await flood.send_all()
        await asyncio.sleep(began + SILENT_FOR + KILL_EVERY - time.monotonic())
        over.set()
        await killing
    finally:
        killing.cancel()
    with capsys.disabled():
        told = f"answers {dict(flood.answers)}, deaths {dict(flood.deaths)}, {flood.held} silenced"
        sys.stdout.write(f"\n{ALERTS} alerts: {told}\n")
    assert flood.answers[200] == ALERTS
    assert flood.held > ALERTS / 20, "some are held"

    client = await flood.client()
    running = await _running(client)
    assert len(running) == len(set(running)) == KEYS, "exactly one open incident of each key"
    for number in range(KEYS):
        state = await _counted(client, next(each for each in running if f"/{flood.service(number)}/" in each), number)
        mine = range(number, ALERTS, KEYS)
        assert {f"alertmanager:{flood.key(each)}" for each in mine} == state.alerts.keys(), "every alert is in it"
        assert (state.phase, state.count) == (Phase.TRIGGERED, len(mine)), "each is counted once"

    async with asyncio.timeout(ENDS_WITHIN):
        await sink.until({flood.service(number) for number in range(KEYS)})
    pages = Counter(page for page in sink.ids if flood.mine in page)
    assert len(pages) == KEYS, "one page of each incident, under one id however often it was tried"


async def _running(client: Client) -> list[str]:
    """Every incident there ever was, once each of them can be listed; all of them are to be open."""
    found: list[str] = []

    async def listed() -> bool:
        with suppress(RPCError):
            every = [each async for each in client.list_workflows("WorkflowType = 'Incident'")]
            found[:] = [each.id for each in every if each.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW]
            return len(found) >= KEYS
        return False

    await until_async(listed, "the incidents in the list", within=120)
    return found


async def _counted(client: Client, workflow_id: str, number: int) -> IncidentState:
    """Its state once it has heard all that Temporal has for it."""
    expected = len(range(number, ALERTS, KEYS))
    states: list[IncidentState] = []

    async def heard() -> bool:
        with suppress(RPCError):
            handle = incident_called(client, workflow_id)
            states[:] = [await handle.query(Incident.state, rpc_timeout=timedelta(seconds=10))]
            return states[0].count >= expected
        return False

    await until_async(heard, f"{workflow_id} to count {expected} alerts", within=120)
    return states[0]
