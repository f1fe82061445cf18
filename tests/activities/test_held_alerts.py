"""What the front door answers to incidents that hold alerts, and what it tells others of them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.held_alerts import HeldAlerts
from activities.intake import Intake
from activities.known_silences import KnownSilences
from activities.open_incidents import OpenIncidents
from analysis.incident_list import key_of
from analysis.placing import Placing
from models.alert import Alert
from models.alert_rules import AlertRouting
from models.held import HeldAlert, HeldNow, LookAgain, Placement
from models.ids import IncidentRef, incident_id
from models.incident_spec import IncidentsSpec
from models.severity import Severity
from tests.analysis.incident_factories import SILENCED, a_held, an_alert

WINDOW = timedelta(minutes=1)
SILENT = {"name": "move", "match": "service=shop", "from": "2020-01-01 00:00", "until": "2099-01-01 00:00"}


class Temporal:
    """Incidents that hold what `held` says; others are started by a signal, unless it `refuses`."""

    def __init__(self) -> None:
        self.held: dict[str, HeldAlert] = {}
        self.told: list[tuple[str, str, list[str]]] = []
        self.refuses = False

    def get_workflow_handle(self, _name: str) -> "Temporal":
        return self

    async def query(self, what: str, **_: object) -> HeldNow:
        assert what == "held"
        return HeldNow(alerts=self.held)

    async def signal(self, *_: object, **__: object) -> None:
        raise RPCError("it is not there", RPCStatusCode.NOT_FOUND, b"")

    async def start_workflow(self, *_: object, **words: Any) -> None:
        if self.refuses:
            raise RPCError("too large", RPCStatusCode.INVALID_ARGUMENT, b"")
        self.told.append((words["id"], words["start_signal"], [each.request for each in words["start_signal_args"]]))


class FrontDoor:
    def __init__(self, depends_on: Mapping[str, tuple[str, ...]] | None = None, **incidents: object) -> None:
        self.temporal = Temporal()
        self.around, self.silences = OpenIncidents(), KnownSilences()
        self.around.listed = True
        self.around._read_at = datetime.now(UTC)
        self.silences._readable, self.silences._read_at = True, time.monotonic()
        self.depends_on, self.incidents = dict(depends_on or {}), incidents
        intake = Intake(self.around, self.silences, asked="front-door/local")
        self.answers = HeldAlerts(lambda: self.routing, self.around, self.silences, intake, lambda: self.client)

    @property
    def client(self) -> Client:
        return cast(Client, self.temporal)

    @property
    def routing(self) -> AlertRouting:
        spec = IncidentsSpec.model_validate(self.incidents)
        return AlertRouting(environment="local", incidents=spec, depends_on=self.depends_on)

    def ref_of(self, alert: Alert) -> IncidentRef:
        return Placing(self.routing, (), datetime.now(UTC)).place(alert, self.around.around("local", WINDOW)).ref

    async def look(self, ref: IncidentRef, *alerts: Alert) -> dict[str, Placement]:
        self.temporal.held = {key_of(alert): a_held(alert) for alert in alerts}
        return (await self.answers.look_again(LookAgain(incident=ref, request="look"))).placements


ALERT = an_alert(severity=Severity.SEV4)


async def test_each_is_placed_by_the_catalog_of_the_day() -> None:
    door = FrontDoor(silences=[SILENT])
    ref = door.ref_of(ALERT)
    (kept,) = (await door.look(ref, ALERT)).values()
    assert kept.hold is not None
    assert kept.hold.why.startswith("the silence move is in force until 2099")
    assert (kept.before, kept.moved_to) == (SILENCED, "")
    door.incidents = {}
    (free,) = (await door.look(ref, ALERT)).values()
    assert (free.hold, free.moved_to, free.severity) == (None, "", Severity.SEV4)
    assert door.temporal.told == []


async def test_what_is_free_counts_towards_a_storm_and_is_not_open_before_it_is_listed() -> None:
    door = FrontDoor(storm={"incidents": 2, "within": "1m"})
    for number in range(2):
        alert = an_alert(f"slow {number}", f"slow-{number}")
        (free,) = (await door.look(ref := door.ref_of(alert), alert)).values()
        assert (free.moved_to, door.around.knows(ref)) == ("", False)
    alert = an_alert("slow 3", "slow-3")
    (moved,) = (await door.look(IncidentRef(environment="local", service="shop", key="slow-3"), alert)).values()
    assert moved.moved_to == "incident/local/storm/storm"
    assert door.temporal.told == [("incident/local/storm/storm", "fired", ["look"])]


async def test_only_what_is_held_still_is_told_to_the_incident_that_it_belongs_to_by_now() -> None:
    door = FrontDoor()
    before = door.ref_of(ALERT)
    door.incidents = {"group_by": ["service"]}
    assert await door.look(before) == {}
    assert door.temporal.told == []
    (moved,) = (await door.look(before, ALERT)).values()
    other = incident_id(door.ref_of(ALERT))
    assert moved.moved_to == other != incident_id(before)
    assert door.temporal.told == [(other, "fired", ["look"])]


async def test_what_is_silenced_still_goes_along_to_the_incident_that_it_belongs_to_by_now() -> None:
    door = FrontDoor()
    before = door.ref_of(ALERT)
    door.incidents = {"group_by": ["service"], "silences": [SILENT]}
    (moved,) = (await door.look(before, ALERT)).values()
    assert door.temporal.told == [(moved.moved_to, "held", ["look"])]


async def test_who_cannot_know_or_cannot_tell_is_asked_again() -> None:
    door = FrontDoor()
    ref = door.ref_of(ALERT)
    door.silences._readable = False
    with pytest.raises(ApplicationError, match="could not be read lately"):
        await door.look(ref, ALERT)
    door.silences._readable, door.temporal.refuses = True, True
    with pytest.raises(ApplicationError, match="too large"):
        await door.look(IncidentRef(environment="local", service="shop", key="other"), ALERT)


async def test_what_one_incident_holds_opens_that_one_and_no_storm() -> None:
    door = FrontDoor(storm={"incidents": 2, "within": "1m"}, group_by=["service"])
    door.around.counts(IncidentRef(environment="local", service="blog", key="down"))
    alerts = [an_alert(f"slow {number}", f"slow-{number}") for number in range(4)]
    placements = await door.look(door.ref_of(alerts[0]), *alerts)
    assert {each.moved_to for each in placements.values()} == {""}


async def test_what_would_open_many_others_is_a_storm() -> None:
    door = FrontDoor(storm={"incidents": 2, "within": "1m"})
    alerts = [an_alert(f"slow {number}", f"slow-{number}") for number in range(4)]
    placements = await door.look(IncidentRef(environment="local", service="shop", key="all"), *alerts)
    assert [each.moved_to == "incident/local/storm/storm" for each in placements.values()] == [False, False, True, True]
