"""Alerts that are silenced or inhibited when they come: their incidents hold them, and open without another word."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import WorkerDeploymentConfig

from activities.telling import signal_with_start
from analysis import incident_held
from gateway.rulebook import Rules
from models.ids import IncidentRef
from models.incident import Phase
from models.temporal_names import IncidentSignal
from starters.doctor import Health, _gateway
from starters.session import Session
from tests.analysis.incident_factories import a_request, holding
from tests.gateway.doors import (
    Door,
    Server,
    a_catalog,
    a_door,
    a_prometheus_alert,
    a_service_name,
    from_alertmanager,
    incident_server,
)
from tests.workflows.harness import until


def silenced(service: str, lasting: timedelta) -> dict[str, Any]:
    begins, ends = (f"{datetime.now(UTC) + each:%Y-%m-%d %H:%M:%SZ}" for each in (-timedelta(minutes=1), lasting))
    return {"silences": [{"name": "move", "match": f"service={service}", "from": begins, "until": ends}]}


async def held(door: Door, service: str, lasting: timedelta = timedelta(seconds=5), **catalog: Any) -> str:
    """The incident that holds an alert of a service which is silenced for so long from now on."""
    door.rulebook.rules = Rules.of(a_catalog(incidents=silenced(service, lasting), **catalog))
    answer = await taken(door, a_prometheus_alert(service))
    (said,) = answer["suppressed"]
    assert (answer["taken"], answer["incidents"], said["by"]) == (0, [], "silence")
    return str(said["held_by"])


async def taken(door: Door, *alerts: dict[str, Any]) -> dict[str, Any]:
    answer = await door.post("/webhooks/alertmanager", from_alertmanager(*alerts))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until_phase(server: Server, incident: str, phase: Phase) -> None:
    async def reached() -> bool:
        return (await server.state(incident)).phase is phase

    await until(reached, f"{incident} to be {phase}")


async def test_what_is_said_once_opens_its_incident_when_the_silence_ends(server: Server) -> None:
    service = a_service_name()
    async with a_door(server.client) as door:
        incident = await held(door, service)
        assert incident.startswith(f"incident/local/{service}/")
        assert (await server.state(incident)).phase is Phase.PENDING
        await until_phase(server, incident, Phase.TRIGGERED)
        await server.counts(incident, 1)
        assert (await taken(door, a_prometheus_alert(service, status="resolved")))["taken"] == 1
        await until_phase(server, incident, Phase.RESOLVED)


async def test_what_cleared_before_the_silence_ended_never_opens(server: Server) -> None:
    service = a_service_name()
    async with a_door(server.client) as door:
        incident = await held(door, service, timedelta(hours=1))
        answer = await taken(door, a_prometheus_alert(service, status="resolved"))
        assert (answer["taken"], answer["suppressed"]) == (1, [])
        outcome = await server.client.get_workflow_handle(incident).result()
    assert outcome["count"] == 0


async def test_while_no_gateway_runs_it_waits_and_the_next_one_opens_it(server: Server) -> None:
    service, environment = a_service_name(), a_service_name()
    catalog = a_catalog(environment=environment)
    async with a_door(server.client, catalog) as door:
        incident = await held(door, service, environment=environment)

    async def asking() -> bool:
        return (await server.state(incident)).looking

    await until(asking, "the front door to be asked")
    async with a_door(server.client, catalog):
        await until_phase(server, incident, Phase.TRIGGERED)


async def test_the_catalog_of_the_day_counts_and_may_send_it_elsewhere(server: Server) -> None:
    service, environment = a_service_name(), a_service_name()
    async with a_door(server.client, a_catalog(environment=environment)) as door:
        incident = await held(door, service, environment=environment)
    grouped = a_catalog(incidents={"group_by": ["service"]}, environment=environment)
    async with a_door(server.client, grouped):
        outcome = await server.client.get_workflow_handle(incident).result()
        assert outcome["count"] == 0
        entries = [entry for each in server.pager.pictures if each.workflow_id == incident for entry in each.timeline]
        (other,) = {entry.text.rpartition(" went to ")[2] for entry in entries if " went to " in entry.text}
        await server.counts(other, 1)


async def test_what_was_inhibited_opens_once_what_its_service_stands_on_is_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_held, "LOOK_AGAIN", timedelta(seconds=2))
    database, shop = a_service_name(), a_service_name()
    services = {database: {"traffic": {"listen": "127.0.0.1:18081"}}, shop: {"depends_on": [database]}}
    async with a_door(server.client, a_catalog(services=services)) as door:
        down = (await taken(door, a_prometheus_alert(database)))["incidents"][0]["incident"]
        incident = (await taken(door, a_prometheus_alert(shop)))["suppressed"][0]["held_by"]
        await until_phase(server, incident, Phase.PENDING)
        await server.client.get_workflow_handle(down).signal(IncidentSignal.RESOLVE)
        await until_phase(server, incident, Phase.TRIGGERED)


async def test_workers_of_a_build_ask_a_gateway_that_has_none(temporal_cli: Path) -> None:
    """As in production, where workers are versioned."""
    build = WorkerDeploymentVersion(deployment_name="holdfast", build_id="b1")
    version = WorkerDeploymentConfig(
        version=build, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE
    )
    async with incident_server(temporal_cli, version) as server:
        make_current = SetWorkerDeploymentCurrentVersionRequest(
            namespace=server.client.namespace, deployment_name=build.deployment_name, build_id=build.build_id
        )

        async def current() -> bool:
            with suppress(RPCError):
                await server.client.workflow_service.set_worker_deployment_current_version(make_current)
                return True
            return False

        await until(current, "the build to be current")
        service = a_service_name()
        async with a_door(server.client) as door:
            incident = await held(door, service)
            await until_phase(server, incident, Phase.TRIGGERED)


async def test_the_doctor_says_when_alerts_that_are_held_wait_for_a_gateway(server: Server) -> None:
    catalog = a_catalog(environment=a_service_name())
    session = cast(Session, SimpleNamespace(catalog=lambda: catalog))
    assert (await _gateway(session, server.client)).found == "none runs, and no alert waits for one"
    ref = IncidentRef(environment=catalog.environment, service="shop", key="down")
    await signal_with_start(server.client, a_request(ref=ref, held=True), [holding()], IncidentSignal.HELD)

    async def said() -> bool:
        return (await _gateway(session, server.client)).health is Health.MISSING

    await until(said, "the incident to be listed")
    async with a_door(server.client, catalog):

        async def answers() -> bool:
            return (await _gateway(session, server.client)).health is Health.OK

        await until(answers, "the gateway to be seen")
