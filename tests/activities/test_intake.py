"""What one request says, told to incidents in a Temporal that answers as a test says."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities import intake
from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import TRUSTED_FOR, OpenIncidents
from analysis.placing import Placing, Surroundings, by_incident
from models.alert import Alert, AlertStatus, Normalised
from models.alert_rules import AlertRouting
from models.front_door import AlertsAnswer
from models.held import LARGEST_HELD, HeldAlert, HeldSignal
from models.ids import IncidentRef
from models.incident import AlertSignal
from models.incident_spec import IncidentsSpec
from models.record import ToRecord
from models.severity import Severity
from models.temporal_names import RECORDING_WORKFLOW, IncidentSignal
from tests.analysis.incident_factories import an_alert

STORM = "incident/local/storm/storm"
CLEARED = AlertStatus.CLEARED


class Temporal:
    """Which incidents run, what each was told, and what was handed to the records."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.told: list[tuple[str, str, str]] = []
        self.recorded: list[str] = []
        self.refuses: set[str] = set()
        self.hangs = False
        self.busy = False

    def list_workflows(self, *_: object, **__: object) -> "Temporal":
        return self

    def __aiter__(self) -> "Temporal":
        return self

    async def __anext__(self) -> object:
        raise StopAsyncIteration

    async def start_workflow(self, name: str, request: Any, *, id: str, **words: Any) -> None:  # noqa: A002 - SDK's name
        if name == RECORDING_WORKFLOW:
            assert isinstance(request, ToRecord)
            self.recorded += [entry.key for entry in request.audit]
            return
        await self._hear(id, words["start_signal"], words["start_signal_args"])
        self.running.add(id)

    def get_workflow_handle(self, name: str) -> "Handle":
        return Handle(self, name)

    async def _hear(self, incident: str, what: str, said: Sequence[AlertSignal | HeldSignal]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if what in self.refuses:
            raise RPCError("not now", RPCStatusCode.INTERNAL, b"")
        alerts = (alert.alert if isinstance(alert, HeldAlert) else alert for signal in said for alert in signal.alerts)
        self.told += [(incident, what, alert.title) for alert in alerts]


class Handle:
    def __init__(self, temporal: Temporal, name: str) -> None:
        self._temporal, self._name = temporal, name

    async def signal(self, what: str, *, args: Sequence[AlertSignal], **_: object) -> None:
        if self._name not in self._temporal.running:
            raise RPCError("it is not there", RPCStatusCode.NOT_FOUND, b"")
        await self._temporal._hear(self._name, what, args)


class World:
    def __init__(self, depends_on: dict[str, tuple[str, ...]] | None = None, **incidents: object) -> None:
        self.temporal = Temporal()
        self.now = datetime.now(UTC)
        self.around = OpenIncidents(lambda: self.now)
        self.silences = KnownSilences()
        self.intake = Intake(self.around, self.silences, asked="front-door/local")
        spec = IncidentsSpec.model_validate(incidents)
        self.routing = AlertRouting(environment="local", incidents=spec, depends_on=depends_on or {})

    @property
    def client(self) -> Client:
        return cast(Client, self.temporal)

    async def look(self) -> None:
        assert await self.around.look(self.client, timedelta(minutes=1))

    async def take(self, *alerts: Alert, request: str = "r") -> AlertsAnswer:
        return await self.intake.take(self.client, self.routing, Normalised(alerts=alerts), request=request, who="ada")


async def test_what_is_only_pending_neither_silences_clients_nor_counts_towards_a_storm() -> None:
    pending = {"match": "service=database", "open_after": {"alerts": 2, "within": "5m"}}
    world = World({"shop": ("database",)}, routes=[pending], storm={"incidents": 2, "within": "1m"})
    await world.take(*(an_alert(f"slow {each}", f"slow-{each}", service="database") for each in range(3)))
    answer = await world.take(an_alert())

    assert not answer.suppressed
    assert world.temporal.told[-1][0] == "incident/local/shop/high-error-rate"


async def test_a_thing_that_clears_and_fires_again_in_one_request_ends_firing() -> None:
    world = World()
    await world.take(an_alert(), request="before")
    await world.take(an_alert(status=CLEARED), an_alert())

    assert [what for _, what, _ in world.temporal.told] == ["fired", "cleared", "fired"]


async def test_what_follows_a_part_that_failed_waits_for_the_request_to_be_sent_again() -> None:
    """Else what fired would be left out the next time, as it was heard, and what cleared before would end it."""
    world = World()
    await world.take(an_alert(), request="before")
    world.temporal.refuses = {IncidentSignal.CLEARED}
    answer = await world.take(an_alert(status=CLEARED), an_alert())
    assert (answer.taken, [each.alerts for each in answer.failed]) == (0, [1, 1])
    world.temporal.refuses.clear()
    await world.take(an_alert(status=CLEARED), an_alert())

    assert [what for _, what, _ in world.temporal.told] == ["fired", "cleared", "fired"]


async def test_what_no_other_incident_knows_clears_in_a_storm_that_began_elsewhere_just_now() -> None:
    world = World()
    await world.look()
    world.temporal.running.add(STORM)
    answer = await world.take(an_alert(status=CLEARED))

    assert world.temporal.told == [(STORM, "cleared", an_alert().title)]
    assert (answer.taken, answer.suppressed) == (1, ())


async def test_while_the_list_is_old_every_clear_is_told_to_a_storm_too() -> None:
    world = World()
    await world.take(an_alert())
    await world.look()
    world.temporal.running.add(STORM)
    await world.take(an_alert(status=CLEARED), request="fresh")
    assert [each[0] for each in world.temporal.told].count(STORM) == 0
    world.now += TRUSTED_FOR * 2
    await world.take(an_alert(status=CLEARED), request="old")
    assert [each[0] for each in world.temporal.told].count(STORM) == 1


async def test_what_clears_and_is_known_nowhere_is_recorded_once_with_why() -> None:
    world = World()
    answer = await world.take(an_alert(status=CLEARED))

    assert [each.by for each in answer.suppressed] == ["nothing_open"]
    assert world.temporal.recorded == [f"r/{an_alert().dedupe_key}/cleared/nothing_open"]


async def test_a_suppressed_alert_is_recorded_under_the_same_key_wherever_it_stands_in_the_request() -> None:
    silence = {"name": "move", "match": "service=shop", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}
    world = World(silences=[silence])
    one, other = an_alert("one", "one"), an_alert("other", "other", status=CLEARED)
    await world.take(one, other)
    await world.take(other, one)

    assert set(Counter(world.temporal.recorded).values()) == {2}


async def test_all_that_a_request_says_has_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "DEADLINE", timedelta(seconds=0.3))
    world = World()
    world.temporal.hangs = True
    said = [an_alert(status=CLEARED), an_alert(), an_alert(status=CLEARED), an_alert(), an_alert("b", "b")]
    began = asyncio.get_running_loop().time()
    answer = await world.take(*said)

    assert asyncio.get_running_loop().time() - began < 0.6
    assert sum(each.alerts for each in answer.failed) == 5


async def test_a_large_request_leaves_others_their_turn() -> None:
    silences = [
        {"name": f"s-{each}", "match": f"host=h{each}", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}
        for each in range(500)
    ]
    world = World({"shop": ("database",)}, silences=silences, group_by=["service"], storm={"incidents": 100_000})
    for each in range(5_000):
        world.around.begins(an_incident(each), Severity.SEV4)
    alerts = [an_alert(f"slow {each}", f"slow-{each}") for each in range(5_000)]
    longest = 0.0
    taking = asyncio.create_task(world.take(*alerts))
    while not taking.done():
        before = time.thread_time()  # of our own, however busy the machine is
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)

    assert (await taking).taken == 5_000
    assert longest < 0.5, longest


def an_incident(number: int) -> Any:
    from models.ids import IncidentRef

    return IncidentRef(environment="local", service="database", key=f"slow-{number}")


async def test_what_is_silenced_is_held_by_its_incident_or_said_to_have_failed() -> None:
    silence = {"name": "move", "match": "service=shop", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}
    world = World(silences=[silence])
    answer = await world.take(an_alert(), an_alert("blog", "blog", service="blog"))
    (said,) = answer.suppressed
    assert (said.held_by, said.by, answer.taken) == ("incident/local/shop/high-error-rate", "silence", 1)
    assert (said.held_by, IncidentSignal.HELD, "error rate is high") in world.temporal.told
    assert not world.around.knows(IncidentRef(environment="local", service="shop", key="high-error-rate"))
    world.temporal.refuses = {IncidentSignal.HELD}
    recorded = len(world.temporal.recorded)
    answer = await world.take(an_alert(), request="again")
    assert ([each.incident for each in answer.failed], answer.suppressed) == ([said.held_by], ())
    assert len(world.temporal.recorded) == recorded, "nothing is said to be suppressed that is to be sent again"


async def test_what_is_silenced_is_told_in_calls_that_temporal_carries() -> None:
    silence = {"name": "move", "match": "service=shop", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}
    spec = IncidentsSpec.model_validate({"silences": [silence], "group_by": ["service"]})
    routing = AlertRouting(environment="local", incidents=spec, depends_on={})
    placing = Placing(routing, (), datetime.now(UTC))
    labels = {f"label-{number}": "\u8b66" * 1_000 for number in range(20)}
    alerts = [an_alert(f"alert {number}", f"alert-{number}", labels=labels) for number in range(20)]
    parts = list(
        by_incident(
            (placing.place(each, Surroundings(datetime.now(UTC))) for each in alerts), spec, "r", "front-door/local"
        )
    )
    assert sum(len(part.held.alerts) for part in parts if part.held) == 20
    assert max(len(part.held.model_dump_json().encode()) for part in parts if part.held) < 2 * LARGEST_HELD
