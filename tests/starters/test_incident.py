"""`holdfast incident`, against incidents that run on a real server with real records."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client

from models.ids import IncidentRef, incident_id
from models.incident import IncidentRules
from models.quantities import HostPort
from models.temporal_names import IncidentSignal, SearchAttribute, TaskQueue
from runtime.plugin import holdfast_plugin
from runtime.settings import Settings
from starters.handles import incident_called
from tests.analysis.incident_factories import a_request, an_alert, signalled
from tests.starters.command_line import Said, said_by
from tests.workers.dev_server import running_temporal
from tests.workers.eventually import eventually
from workers.groups import groups_named
from workers.run import build_worker
from workers.wiring import Adapters
from workflows.incident import Incident


@dataclass(frozen=True)
class CommandLine:
    """`holdfast incident` in an environment of its own, so that it lists no other test's incidents."""

    folder: Path
    address: HostPort

    async def __call__(self, *words: str) -> Said:
        return await said_by(self.folder, self.address, "incident", *words)

    async def until_shown(self, incident: str, words: str) -> str:
        shown = ""

        async def said() -> bool:
            nonlocal shown
            shown = (await self("show", incident)).out
            return words in shown

        await eventually(said)
        return shown


@pytest_asyncio.fixture
async def unattended(tmp_path: Path, temporal_cli: Path) -> AsyncIterator[CommandLine]:
    """Nobody works on what it opens."""
    async with running_temporal(temporal_cli) as address:
        client = await Client.connect(address, plugins=[holdfast_plugin()])
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(SearchAttribute, keyword)
            )
        )
        service = {
            "deploy": {"command": ["run", "{port}"]},
            "traffic": {"listen": "127.0.0.1:18080"},
            "rollout": {"strategy": "blue-green", "bake": "1s"},
        }
        catalog = {
            "version": 1,
            "environment": f"test-{uuid.uuid4().hex[:8]}",
            "services": {"shop": service},
            "incidents": {"reopen_within": "1s"},
        }
        (tmp_path / "holdfast.yaml").write_text(json.dumps(catalog))
        yield CommandLine(tmp_path, address)


@pytest_asyncio.fixture
async def incident(unattended: CommandLine) -> AsyncIterator[CommandLine]:
    client = await Client.connect(unattended.address, plugins=[holdfast_plugin()])
    async with AsyncExitStack() as open_until_the_end:
        adapters = await open_until_the_end.enter_async_context(Adapters(Settings(home=unattended.folder)))
        for group in groups_named([TaskQueue.INCIDENTS, TaskQueue.NOTIFICATIONS, TaskQueue.RECORDS]):
            await open_until_the_end.enter_async_context(build_worker(group, client, adapters))
        yield unattended


async def test_what_a_person_opens_is_listed_before_any_worker_has_seen_it(unattended: CommandLine) -> None:
    opened = await unattended("open", "shop", "the till is stuck", "--severity", "SEV1", "--json")
    assert opened.code == 0, opened.err

    async def listed() -> bool:
        found = (await unattended("list", "shop", "--json")).json["incidents"]
        shown = [(each["incident"], each["phase"], each["severity"]) for each in found]
        return shown == [(opened.json["incident"], "triggered", "SEV1")]

    await eventually(listed)


async def test_an_incident_from_its_opening_to_the_records(incident: CommandLine) -> None:
    opened = await incident("open", "shop", "the till is stuck", "--severity", "SEV1", "--json")
    assert opened.code == 0, opened.err
    ref = opened.json["incident"]
    await incident.until_shown("till", "level 1 is paged: console")
    pages = (await incident("inbox", "--json")).json["messages"]
    assert [page["notification"]["title"] for page in pages] == ["the till is stuck"]
    (listed,) = (await incident("list", "--json")).json["incidents"]
    assert (listed["incident"], listed["phase"], listed["severity"]) == (ref, "triggered", "SEV1")

    said = await incident("ack", "till", "--note", "looking")
    assert (said.code, "is taken" in said.out) == (0, True)
    await incident.until_shown(ref, "acknowledged (looking)")
    for words in (
        ("note", "till", "it was the cable"),
        ("assign", "till", "grace", "--role", "commander"),
        ("task", "till", "buy a cable"),
        ("done", "till", "1"),
        ("snooze", "till", "--for", "1m"),
        ("unsnooze", "till"),
        ("escalate", "till"),
        ("resolve", "till"),
    ):
        said = await incident(*words)
        assert said.code == 0, said.err
    shown = await incident.until_shown(ref, "closed")
    for told in ("SEV1", "it was the cable", "grace is the commander", "task 1", "no longer snoozed", "resolved"):
        assert told in shown

    async def recorded() -> bool:
        return "closed" in (await incident("list", "--all")).out

    await eventually(recorded)
    assert (await incident("list", "--json")).json["incidents"] == []


async def test_the_alerts_of_a_storm_are_listed_while_it_goes_on_and_after_its_end(incident: CommandLine) -> None:
    client = await Client.connect(incident.address, plugins=[holdfast_plugin()])
    environment = json.loads((incident.folder / "holdfast.yaml").read_text())["environment"]
    ref = IncidentRef(environment=environment, service="storm", key="storm")
    alerts = [an_alert(f"no-{number}", f"no-{number}", service=f"shop-{number}") for number in range(25)]
    await client.start_workflow(
        Incident.run,
        a_request(IncidentRules(reopen_within=timedelta(seconds=1)), ref=ref, title="a storm"),
        id=incident_id(ref),
        task_queue=TaskQueue.INCIDENTS,
        start_signal=IncidentSignal.FIRED,
        start_signal_args=[signalled(*alerts)],
    )
    handle = incident_called(client, incident_id(ref))
    await handle.signal(IncidentSignal.CLEARED, signalled(alerts[7]))
    shown = await incident.until_shown(str(ref), "cleared: no-7")
    assert "and 5 more; --all lists them" in shown
    assert shown.count("fires") == 20
    lines = (await incident("show", str(ref), "--all")).out.splitlines()
    told = [line.split() for line in lines if "alertmanager" in line]
    assert {words[-1] for words in told} == {alert.title for alert in alerts}
    assert (told[-1][0], told[-1][-3:]) == ("cleared", ["shop-7", "alertmanager", "no-7"])

    await handle.signal(IncidentSignal.RESOLVE)
    await handle.result()

    async def recorded() -> bool:
        said = await incident("show", str(ref), "--json")
        return said.code == 0 and len(said.json["alerts"]) == 25 and said.json["phase"] == "closed"

    await eventually(recorded)
    assert "and 5 more; --all lists them" in (await incident("show", str(ref))).out


async def test_what_cannot_be_is_said_with_what_to_do(incident: CommandLine) -> None:
    for title in ("the till is stuck", "the till is slow"):
        assert (await incident("open", "shop", title)).code == 0

    async def both_listed() -> bool:
        return len((await incident("list", "--json")).json["incidents"]) == 2

    await eventually(both_listed)
    for words, code, said in (
        (("ack", "nothing"), 3, "holdfast incident list"),
        (("ack", "till"), 2, "may be any of 2 incidents"),
        (("ack", "local/shop/never-was"), 3, "No incident local/shop/never-was is open"),
        (("show", "local/shop/never-was"), 3, "Neither Temporal nor the records"),
        (("open", "shop", "broken", "--policy", "nights"), 2, "There is no policy nights; the catalog has default"),
        (("open", "Shop!", "broken"), 2, "cannot be an incident's name"),
        (("snooze", "slow", "--for", "soon"), 2, "--for"),
    ):
        answer = await incident(*words)
        assert (answer.code, said in answer.err) == (code, True), (words, answer)
    assert (await incident("merge", "slow", "stuck")).code == 0
    await incident.until_shown("stuck", "is merged into this one")
