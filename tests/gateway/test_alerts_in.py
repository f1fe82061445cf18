"""Alerts through the front door become incidents in a real Temporal."""

import asyncio
import itertools
import json
import uuid
from typing import Any, cast

import pytest
from temporalio.client import Client

from models.incident import Phase
from models.temporal_names import IncidentSignal
from tests.gateway.doors import (
    Door,
    Server,
    a_catalog,
    a_door,
    a_prometheus_alert,
    a_service_name,
    from_alertmanager,
)
from tests.workflows.harness import until


async def test_what_alertmanager_fires_and_resolves_is_one_incident(server: Server, door: Door) -> None:
    service = a_service_name()
    answer = await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(service)))
    assert answer.status_code == 200, answer.text
    (taken,) = answer.json()["incidents"]
    assert taken["incident"].startswith(f"incident/local/{service}/higherrorrate-")
    assert taken["fired"] == 1
    state = await server.state(taken["incident"])
    assert (state.phase, state.count, state.title) == (Phase.TRIGGERED, 1, f"HighErrorRate of {service}")

    resolved = from_alertmanager(a_prometheus_alert(service, status="resolved"), status="resolved")
    answer = await door.post("/webhooks/alertmanager", resolved)
    assert (answer.status_code, answer.json()["incidents"][0]["cleared"]) == (200, 1)
    assert (await server.state(taken["incident"])).phase is Phase.RESOLVED


async def test_all_alerts_of_a_key_are_one_signal_and_keys_are_incidents_of_their_own(server: Server) -> None:
    service = a_service_name()
    alerts = [a_prometheus_alert(service, "Slow", instance=str(number)) for number in range(5)]
    catalog = a_catalog(incidents={"group_by": ["alertname", "service"]})
    async with a_door(server.client, catalog) as door:
        batch = from_alertmanager(*alerts, a_prometheus_alert(service, "Down"))
        answer = (await door.post("/webhooks/alertmanager", batch)).json()
    assert sorted(each["fired"] for each in answer["incidents"]) == [1, 5]
    five = next(each["incident"] for each in answer["incidents"] if each["fired"] == 5)
    history = await server.client.get_workflow_handle(five).fetch_history()
    signals = [each for each in history.events if each.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) == 1
    await server.counts(five, 5)


async def test_our_own_form_is_one_alert_or_several(server: Server, door: Door) -> None:
    service = a_service_name()
    one = await door.post(
        "/alerts", {"title": "the disk is full", "service": service, "id": "disk", "severity": "SEV1"}
    )
    assert one.status_code == 200, one.text
    incident = one.json()["incidents"][0]["incident"]
    assert (await server.state(incident)).severity == "SEV1"
    both = {
        "alerts": [
            {"title": "the disk is full", "service": service, "id": "disk", "status": "cleared"},
            {"title": "the queue is long", "service": service, "values": {"length": 10}},
        ]
    }
    answer = (await door.post("/alerts", both)).json()
    assert answer["taken"] == 2
    assert (await server.state(incident)).phase is Phase.RESOLVED


async def test_a_sender_of_its_own_json_is_read_as_the_catalog_says(server: Server) -> None:
    service = a_service_name()
    source = {"title": "monitor.name", "id": "monitor.id", "status": "state", "service": "monitor.service"}
    down = {"monitor": {"id": 7, "name": "front page", "service": service}, "state": "down"}
    async with a_door(server.client, a_catalog(incidents={"sources": {"uptime": source}})) as door:
        answer = await door.post("/webhooks/generic/uptime", down)
        assert answer.status_code == 200, answer.text
        incident = answer.json()["incidents"][0]["incident"]
        assert (await server.state(incident)).phase is Phase.TRIGGERED
        await door.post("/webhooks/generic/uptime", {**down, "state": "up"})
        assert (await server.state(incident)).phase is Phase.RESOLVED
        missing = await door.post("/webhooks/generic/nagios", down)
    assert missing.status_code == 404
    assert "there is uptime" in missing.json()["detail"]


async def test_a_thousand_identical_posts_at_once_are_one_incident_that_counts_them(server: Server, door: Door) -> None:
    service = a_service_name()
    body = json.dumps(from_alertmanager(a_prometheus_alert(service))).encode()
    answers = await asyncio.gather(*(door.post("/webhooks/alertmanager", body) for _ in range(1_000)))
    assert {answer.status_code for answer in answers} == {200}
    (incident,) = {answer.json()["incidents"][0]["incident"] for answer in answers}
    await server.counts(incident, 1_000)
    assert await server.runs_of(incident) == 1


async def test_the_same_delivery_sent_again_is_counted_once(server: Server, door: Door) -> None:
    alert = {"title": "the disk is full", "service": a_service_name()}
    headers = {"idempotency-key": str(uuid.uuid4())}
    answers = [await door.post("/alerts", alert, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    incident = answers[0].json()["incidents"][0]["incident"]
    await server.counts(incident, 1)
    await door.post("/alerts", {**alert, "severity": "SEV2"}, headers=headers)  # another body is another delivery
    await server.counts(incident, 2)


async def test_what_was_taken_of_a_request_that_failed_is_not_counted_again(server: Server, door: Door) -> None:
    """A part of it waits for an incident whose workflow id Temporal cannot take for now."""
    service, other = a_service_name(), a_service_name()
    batch = from_alertmanager(a_prometheus_alert(service), a_prometheus_alert(other))
    blocked = Blocked(server.client, other)
    door.temporal.client = cast(Client, blocked)
    first = await door.post("/webhooks/alertmanager", batch)
    assert first.status_code == 503
    assert int(first.headers["retry-after"]) > 0
    answer = first.json()
    assert (answer["taken"], len(answer["failed"])) == (1, 1)
    assert f"incident/local/{other}/" in answer["failed"][0]["incident"]
    door.temporal.client = server.client
    second = await door.post("/webhooks/alertmanager", batch)
    assert (second.status_code, second.json()["taken"]) == (200, 2)
    for each in second.json()["incidents"]:
        await server.counts(each["incident"], 1)
    third = await door.post("/webhooks/alertmanager", batch)  # after a 2xx it is news
    for each in third.json()["incidents"]:
        await server.counts(each["incident"], 2)


class Blocked:
    """A client whose Temporal takes no alerts of one service."""

    def __init__(self, client: Client, service: str) -> None:
        self._client, self._service = client, service

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    async def start_workflow(self, *words: Any, **named: Any) -> object:
        if f"/{self._service}/" in str(named["id"]):
            raise TimeoutError
        return await self._client.start_workflow(*words, **named)


async def test_without_temporal_nothing_is_answered_2xx(door: Door) -> None:
    door.temporal.client = None
    answer = await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(a_service_name())))
    assert (answer.status_code, answer.json()["taken"]) == (503, 0)
    assert (await door.http.get("/readyz")).status_code == 503
    assert (await door.http.get("/healthz")).status_code == 200


async def test_readyz_says_whether_alerts_are_taken(door: Door) -> None:
    assert (await door.http.get("/readyz")).json() == {"state": "ok"}


async def test_a_silenced_alert_opens_nothing_and_is_recorded_with_why(server: Server) -> None:
    service = a_service_name()
    silence = {
        "name": "move",
        "match": f"service={service}",
        "from": "2020-01-01 00:00",
        "until": "2099-01-01 00:00",
        "comment": "we move",
    }
    async with a_door(server.client, a_catalog(incidents={"silences": [silence]})) as door:
        answer = await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(service)))
    assert answer.status_code == 200, answer.text
    (suppressed,) = answer.json()["suppressed"]
    assert suppressed["by"] == "silence"
    assert "we move" in suppressed["why"]
    request = answer.json()["request"]
    (entry,) = await server.suppressed(request)
    assert (entry.ref.service, entry.outcome, entry.who) == (service, "suppressed", "prometheus")
    assert "we move" in entry.why


async def test_what_clears_without_an_incident_is_recorded_with_why(server: Server, door: Door) -> None:
    batch = from_alertmanager(a_prometheus_alert(a_service_name(), status="resolved"))
    answer = (await door.post("/webhooks/alertmanager", batch)).json()
    assert (answer["taken"], answer["suppressed"][0]["by"]) == (0, "nothing_open")
    await server.suppressed(answer["request"])


async def test_a_service_is_inhibited_while_what_it_stands_on_has_an_open_incident(server: Server) -> None:
    database, shop = a_service_name(), a_service_name()
    services = {database: {"traffic": {"listen": "127.0.0.1:18081"}}, shop: {"depends_on": [database]}}
    async with a_door(server.client, a_catalog(services=services)) as door:
        down = (await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(database)))).json()
        inhibited = (await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(shop)))).json()
        assert inhibited["suppressed"][0]["by"] == "inhibition"
    async with a_door(server.client, a_catalog(services=services)) as fresh:  # another process knows it from Temporal
        names = (f"Slow{number}" for number in itertools.count())

        async def inhibited_there() -> bool:
            after = from_alertmanager(a_prometheus_alert(shop, next(names)))
            return bool((await fresh.post("/webhooks/alertmanager", after)).json()["suppressed"])

        await until(inhibited_there, "the fresh gateway to know the open incident")
        await server.client.get_workflow_handle(down["incidents"][0]["incident"]).signal(IncidentSignal.RESOLVE)

        async def opens() -> bool:
            after = from_alertmanager(a_prometheus_alert(shop, next(names)))
            return bool((await fresh.post("/webhooks/alertmanager", after)).json()["taken"] == 1)

        await until(opens, "the alert to open an incident once nothing inhibits it")


async def test_a_storm_of_new_incidents_becomes_one(server: Server) -> None:
    environment = a_service_name()
    catalog = a_catalog(environment=environment, incidents={"storm": {"incidents": 10, "within": "1m"}})
    async with a_door(server.client, catalog) as door:
        alerts = [a_prometheus_alert(a_service_name()) for _ in range(40)]
        answer = (await door.post("/webhooks/alertmanager", from_alertmanager(*alerts))).json()
        umbrella = f"incident/{environment}/storm/storm"
        fired = {each["incident"]: each["fired"] for each in answer["incidents"]}
        assert sum(fired.values()) == 40
        assert 25 <= fired.pop(umbrella) <= 30
        assert set(fired.values()) == {1}
        cleared = [{**alert, "status": "resolved"} for alert in alerts]
        done = await door.post("/webhooks/alertmanager", from_alertmanager(*cleared, status="resolved"))
        assert done.status_code == 200
        assert (await server.state(umbrella)).phase is Phase.RESOLVED


@pytest.mark.parametrize("alerts", [1, 3])
async def test_a_pending_incident_opens_after_as_many_alerts_as_its_route_says(server: Server, alerts: int) -> None:
    service = a_service_name()
    routes = [{"match": f"service={service}", "open_after": {"alerts": 3, "within": "5m"}}]
    async with a_door(server.client, a_catalog(incidents={"routes": routes})) as door:
        for _ in range(alerts):
            answer = await door.post("/webhooks/alertmanager", from_alertmanager(a_prometheus_alert(service)))
    state = await server.state(answer.json()["incidents"][0]["incident"])
    assert state.phase is (Phase.TRIGGERED if alerts == 3 else Phase.PENDING)
