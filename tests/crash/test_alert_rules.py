"""kill -9 while alert rules are evaluated: what fires is one incident, whoever died, and what clears ends it."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import Client

from models.alert_rules import ReviseRules, RuleSet
from models.ids import IncidentRef, ServiceRef, incident_id, parse_incident_id, rules_id
from models.incident import IncidentState, Phase
from models.temporal_names import RulesSignal
from runtime.plugin import holdfast_plugin
from starters.handles import incident_called
from starters.rule_applying import begin
from tests.analysis.rule_factories import a_file_set, a_promql_rule
from tests.crash.no_answer import NO_ANSWER
from tests.crash.plan import CrashFolder, Death, Moment
from tests.providers.json_server import Asked, JsonServer, Reply, json_server, of_json
from tests.whole.platform import Platform
from tests.workflows.harness import until
from workflows.incident import Incident

FULL = os.environ.get("HOLDFAST_CRASH") == "full"
SERIES = ("a", "b", "c")
ENDS_WITHIN = 120.0
VICTIMS = {
    "the worker that watches": ("worker", "traffic"),
    "the worker that decides": ("worker", "incidents"),
    "the Temporal server": ("start-dev",),
    "everything": (),
}


@dataclass
class Ruled:
    """A Prometheus that finds three series down, or none, and rules that ask it."""

    platform: Platform
    server: JsonServer
    service: str = field(default_factory=lambda: f"shop-{uuid.uuid4().hex[:8]}")
    down: bool = False

    @property
    def id(self) -> str:
        return rules_id(self.rules.ref)

    @property
    def rules(self) -> RuleSet:
        rule = a_promql_rule(interval=timedelta(seconds=1), lasting=timedelta(seconds=2))
        found = a_file_set(rule, ref=ServiceRef(environment="local", service=f"set-{self.service}"))
        assert found.prometheus
        address = found.prometheus.model_copy(update={"url": self.server.url})
        return found.model_copy(update={"prometheus": address})

    def answer(self, _asked: Asked) -> Reply:
        series = [{"metric": {"service": self.service, "instance": name}, "value": [0, "0"]} for name in SERIES]
        data = {"resultType": "vector", "result": series if self.down else []}
        return of_json({"status": "success", "data": data})

    async def begin(self) -> None:
        self.server.answer = self.answer
        await begin(await self.connected(), self.rules, by="ada")

    async def end(self) -> None:
        """Also while Temporal is still coming back."""
        with suppress(*NO_ANSWER):
            handle = (await self.connected()).get_workflow_handle(self.id)
            await handle.signal(RulesSignal.REVISE, ReviseRules(), rpc_timeout=timedelta(seconds=5))

    async def connected(self) -> Client:
        """Anew, as after everything died the server has another port."""
        return await Client.connect(self.platform.record["temporal"], plugins=[holdfast_plugin()], lazy=True)

    async def incidents(self) -> list[IncidentRef]:
        """Every run of an incident of the service, one that was continued as new as one."""
        query = f"WorkflowType = 'Incident' AND Service = '{self.service}'"
        client = await self.connected()
        return [parse_incident_id(each.id) async for each in client.list_workflows(query)]

    async def states(self) -> list[IncidentState]:
        client = await self.connected()
        return [
            await incident_called(client, incident_id(ref)).query(Incident.state, rpc_timeout=timedelta(seconds=5))
            for ref in await self.incidents()
        ]

    async def until_all(self, phase: Phase) -> list[IncidentState]:
        states: list[IncidentState] = []

        async def reached() -> bool:
            with suppress(*NO_ANSWER):
                states[:] = await self.states()
                return len(states) == len(SERIES) and all(state.phase is phase for state in states)
            return False

        await until(reached, f"an incident of each series to be {phase}", within=ENDS_WITHIN)
        return states


@pytest_asyncio.fixture
async def ruled(mortal_platform: Platform) -> AsyncIterator[Ruled]:
    with json_server() as server:
        ruled = Ruled(mortal_platform, server)
        yield ruled
        await ruled.end()


def assert_one_each(states: list[IncidentState]) -> None:
    """One incident of each series, which was told once that it fires, whoever died while it was told."""
    assert len({state.ref for state in states}) == len(states) == len(SERIES)
    assert [state.count for state in states] == [1] * len(SERIES)


@pytest.mark.parametrize("activity", [pytest.param("rules.watch", marks=pytest.mark.full), "rules.deliver"])
@pytest.mark.parametrize("moment", tuple(Moment) if FULL else (Moment.AFTER,))
async def test_a_death_while_an_alert_fires(ruled: Ruled, moment: Moment, activity: str) -> None:
    folder = CrashFolder(ruled.platform.home)
    folder.plan(Death(workflow_id=ruled.id, activity=activity, nth=1, moment=moment))
    ruled.down = True
    await ruled.begin()
    states = await ruled.until_all(Phase.TRIGGERED)

    async def dead() -> bool:
        return folder.due is None

    await until(dead, "the worker to die where it was told to")
    assert_one_each(states)
    ruled.down = False
    assert_one_each(await ruled.until_all(Phase.RESOLVED))


@pytest.mark.parametrize(
    "victim", VICTIMS if FULL else (pytest.param("the worker that watches", marks=pytest.mark.full), "everything")
)
async def test_the_death_of_a_process_while_rules_are_evaluated(ruled: Ruled, victim: str) -> None:
    await ruled.begin()
    ruled.down = True
    await asyncio.to_thread(_kill, ruled.platform, victim)

    assert_one_each(await ruled.until_all(Phase.TRIGGERED))
    ruled.down = False
    await asyncio.to_thread(_kill, ruled.platform, victim)
    assert_one_each(await ruled.until_all(Phase.RESOLVED))


def _kill(platform: Platform, victim: str) -> None:
    if victim == "everything":
        platform.kill_everything()
        platform.start()
    else:
        platform.kill(*VICTIMS[victim])
