"""Sentry, PagerDuty, Grafana, Opsgenie and senders of their own: their bodies, and how they sign them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.incident import Phase
from tests.gateway.doors import (
    SECRET,
    STANDARD_SECRET,
    Door,
    Server,
    a_catalog,
    a_door,
    a_prometheus_alert,
    a_service_name,
    hex_signature,
)

SIGNED = {
    "grafana": {"secret": SECRET},
    "sentry": {"secret": SECRET},
    "pagerduty": {"secret": SECRET},
    "generic": {
        "standard": {"secret": STANDARD_SECRET},
        "hub": {"secret": SECRET, "kind": "hmac"},
    },
}
SOURCE = {"title": "name", "service": "service", "status": "state"}

Headers = Mapping[str, str]
Sign = Callable[[bytes, float], Headers]


def catalog() -> Any:
    sources = {"standard": SOURCE, "hub": SOURCE}
    return a_catalog(gateway={"signatures": SIGNED}, incidents={"sources": sources})


@pytest_asyncio.fixture
async def signed_door(server: Server) -> AsyncIterator[Door]:
    async with a_door(server.client, catalog()) as door:
        yield door


def sentry(body: bytes, at: float) -> Headers:
    stamp = str(int(at))
    return {
        "sentry-hook-signature": hex_signature(body),
        "sentry-hook-timestamp": stamp,
        "sentry-hook-resource": "issue",
    }


def pagerduty(body: bytes, _at: float) -> Headers:
    return {"x-pagerduty-signature": f"v1={'0' * 64},v1={hex_signature(body)}"}


def grafana(body: bytes, at: float) -> Headers:
    stamp = str(int(at))
    signed = hex_signature(stamp.encode() + b":" + body)
    return {"x-grafana-alerting-signature": signed, "x-grafana-alerting-timestamp": stamp}


def standard(body: bytes, at: float) -> Headers:
    stamp = str(int(at))
    key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,AAAA v1,{base64.b64encode(digest).decode()}",
    }


def hub(body: bytes, _at: float) -> Headers:
    return {"x-hub-signature-256": f"sha256={hex_signature(body)}"}


def an_issue(service: str, action: str = "created") -> dict[str, Any]:
    issue = {"id": f"7{service[-6:]}", "title": "ZeroDivisionError", "project": {"slug": service}, "level": "error"}
    return {"action": action, "data": {"issue": issue}, "installation": {"uuid": "1"}}


def an_event(service: str, kind: str = "incident.triggered") -> dict[str, Any]:
    data = {
        "id": f"P{service[-6:]}", "type": "incident", "title": "the shop is down", "urgency": "high",
        "service": {"summary": service}, "html_url": "https://acme.pagerduty.com/incidents/P1",
    }  # fmt: skip
    now = datetime.now(UTC)
    return {"event": {"id": f"{kind}-{service}", "event_type": kind, "occurred_at": now.isoformat(), "data": data}}


def a_group(service: str, status: str = "firing") -> dict[str, Any]:
    alert = {**a_prometheus_alert(service, status=status), "values": {"A": 0.07}, "dashboardURL": "http://grafana/d/1"}
    return {"receiver": "holdfast", "status": status, "alerts": [alert], "version": "1", "truncatedAlerts": 0}


def its_own(service: str, state: str = "down") -> dict[str, Any]:
    return {"name": "front page", "service": service, "state": state}


CASES: dict[str, tuple[Callable[..., dict[str, Any]], str, Sign]] = {
    "/webhooks/sentry": (an_issue, "resolved", sentry),
    "/webhooks/pagerduty": (an_event, "incident.resolved", pagerduty),
    "/webhooks/grafana": (a_group, "resolved", grafana),
    "/webhooks/generic/standard": (its_own, "up", standard),
    "/webhooks/generic/hub": (its_own, "up", hub),
}
every_case = pytest.mark.parametrize("path", CASES)


async def send(door: Door, path: str, body: object, *, at: float | None = None, more: Headers | None = None) -> Any:
    content = json.dumps(body).encode()
    headers = {**CASES[path][2](content, time.time() if at is None else at), **(more or {})}
    return await door.post(path, content, key=None, headers=headers)


@every_case
async def test_what_is_signed_opens_an_incident_and_closes_it(server: Server, signed_door: Door, path: str) -> None:
    build, cleared, _ = CASES[path]
    service = a_service_name()
    answer = await send(signed_door, path, build(service))
    assert answer.status_code == 200, answer.text
    incident = answer.json()["incidents"][0]["incident"]
    assert incident.startswith(f"incident/local/{service}/")
    assert (await server.state(incident)).phase is Phase.TRIGGERED
    assert (await send(signed_door, path, build(service, cleared))).json()["taken"] == 1
    assert (await server.state(incident)).phase is Phase.RESOLVED
    assert signed_door.log.entries[0].who == path.removeprefix("/webhooks/")


@every_case
async def test_what_is_not_signed_is_refused_whatever_key_is_shown(signed_door: Door, path: str) -> None:
    answer = await signed_door.post(path, CASES[path][0]("shop"))
    assert answer.status_code == 401
    assert "There is no header" in answer.json()["detail"]


@every_case
async def test_what_was_tampered_with_is_refused(signed_door: Door, path: str) -> None:
    content = json.dumps(CASES[path][0]("shop")).encode()
    headers = CASES[path][2](content, time.time())
    answer = await signed_door.post(path, content.replace(b"shop", b"bank"), key=None, headers=headers)
    assert answer.status_code == 401
    assert "is not this body's" in answer.json()["detail"]
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", ["/webhooks/sentry", "/webhooks/grafana", "/webhooks/generic/standard"])
@pytest.mark.parametrize("age", [301, 86_400, -330])
async def test_what_is_older_than_five_minutes_is_refused(signed_door: Door, path: str, age: int) -> None:
    body = CASES[path][0](a_service_name())
    answer = await send(signed_door, path, body, at=time.time() - age)
    assert answer.status_code == 401
    assert "at most 300 are taken" in answer.json()["detail"]
    assert (await send(signed_door, path, body, at=time.time() - 290)).status_code == 200


@pytest.mark.parametrize("path", ["/webhooks/sentry", "/webhooks/grafana"])
@pytest.mark.parametrize("stamp", ["", "yesterday", "-1", "1e9", "9" * 400, "١٢٣"])
async def test_a_time_stamp_that_is_none_is_refused(signed_door: Door, path: str, stamp: str) -> None:
    name = "sentry-hook-timestamp" if "sentry" in path else "x-grafana-alerting-timestamp"
    content = json.dumps(CASES[path][0]("shop")).encode()
    headers = {**CASES[path][2](content, time.time()), name: stamp.encode().decode("latin-1")}
    assert (await signed_door.post(path, content, key=None, headers=headers)).status_code == 401


async def test_a_time_stamp_that_was_changed_does_not_make_an_old_request_new(signed_door: Door) -> None:
    content = json.dumps(a_group("shop")).encode()
    headers = {**grafana(content, time.time() - 3_600), "x-grafana-alerting-timestamp": str(int(time.time()))}
    answer = await signed_door.post("/webhooks/grafana", content, key=None, headers=headers)
    assert (answer.status_code, "is not this body's" in answer.text) == (401, True)


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(minutes=50), 200), (timedelta(hours=2), 401), (timedelta(-1), 401)]
)
async def test_an_event_of_pagerduty_is_taken_for_as_long_as_it_is_sent_again(
    signed_door: Door, age: timedelta, status: int
) -> None:
    event = an_event(a_service_name())
    event["event"]["occurred_at"] = (datetime.now(UTC) - age).isoformat().replace("+00:00", "Z")
    answer = await send(signed_door, "/webhooks/pagerduty", event)
    assert answer.status_code == status, answer.text


async def test_an_event_that_comes_again_after_its_incident_has_ended_opens_nothing(
    server: Server, signed_door: Door
) -> None:
    event = an_event(a_service_name())
    first = await send(signed_door, "/webhooks/pagerduty", event)
    incident = first.json()["incidents"][0]["incident"]
    await server.client.get_workflow_handle(incident).terminate()
    again = await send(signed_door, "/webhooks/pagerduty", event)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await server.runs_of(incident) == 0


async def test_an_event_that_was_not_taken_is_taken_when_it_comes_again(server: Server, signed_door: Door) -> None:
    event = an_event(a_service_name())
    signed_door.temporal.client = None
    assert (await send(signed_door, "/webhooks/pagerduty", event)).status_code == 503
    signed_door.temporal.client = server.client
    answer = await send(signed_door, "/webhooks/pagerduty", event)
    await server.counts(answer.json()["incidents"][0]["incident"], 1)


async def test_an_event_of_pagerduty_that_is_delivered_twice_counts_once(server: Server, signed_door: Door) -> None:
    event = an_event(a_service_name())
    answers = [await send(signed_door, "/webhooks/pagerduty", event) for _ in range(2)]
    await server.counts(answers[1].json()["incidents"][0]["incident"], 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/webhooks/pagerduty", {"event": {"id": "1", "event_type": "pagey.ping", "data": {"message": "Hello"}}}),
        ("/webhooks/pagerduty", an_event("shop", "incident.annotated")),
        ("/webhooks/sentry", an_issue("shop", "assigned")),
    ],
    ids=["a test", "a note", "an assignment"],
)
async def test_what_neither_fires_nor_clears_is_answered_well(signed_door: Door, path: str, body: object) -> None:
    answer = await send(signed_door, path, body)
    assert (answer.status_code, answer.json()["taken"]) == (200, 0)
    assert "neither fires nor clears" in answer.json()["ignored"][0]["why"]


async def test_sentry_s_alert_is_closed_by_its_issue(server: Server, signed_door: Door) -> None:
    service = a_service_name()
    issue = an_issue(service, "resolved")
    event = {
        "action": "triggered",
        "data": {
            "event": {
                "issue_id": issue["data"]["issue"]["id"], "title": "ZeroDivisionError", "level": "error",
                "url": f"https://sentry.io/api/0/projects/acme/{service}/events/1/",
                "web_url": "https://sentry.io/organizations/acme/issues/7/events/1/",
            },
            "triggered_rule": "any error",
        },
    }  # fmt: skip
    alert = {"sentry-hook-resource": "event_alert"}
    answer = await send(signed_door, "/webhooks/sentry", event, more=alert)
    assert answer.status_code == 200, answer.text
    await send(signed_door, "/webhooks/sentry", issue)
    assert (await server.state(answer.json()["incidents"][0]["incident"])).phase is Phase.RESOLVED


async def test_sentry_s_metric_alert_opens_and_closes(server: Server, signed_door: Door) -> None:
    rule = {"id": a_service_name(), "name": "too many errors", "projects": ["shop"]}
    alert = {"sentry-hook-resource": "metric_alert"}
    body = {"action": "critical", "data": {"metric_alert": {"id": "1", "alert_rule": rule}, "web_url": "https://s/1"}}
    answer = await send(signed_door, "/webhooks/sentry", body, more=alert)
    assert answer.status_code == 200, answer.text
    await send(signed_door, "/webhooks/sentry", {**body, "action": "resolved"}, more=alert)
    assert (await server.state(answer.json()["incidents"][0]["incident"])).phase is Phase.RESOLVED


async def test_opsgenie_shows_a_key_and_creates_and_closes(server: Server, signed_door: Door) -> None:
    service = a_service_name()
    alert = {"alertId": service, "message": "the shop is down", "priority": "P1", "tags": [f"service:{service}"]}
    answer = await signed_door.post("/webhooks/opsgenie", {"action": "Create", "alert": alert})
    assert answer.status_code == 200, answer.text
    incident = answer.json()["incidents"][0]["incident"]
    assert incident.startswith(f"incident/local/{service}/")
    await signed_door.post("/webhooks/opsgenie", {"action": "Close", "alert": alert})
    assert (await server.state(incident)).phase is Phase.RESOLVED
    assert (
        await signed_door.post("/webhooks/opsgenie", {"action": "Create", "alert": alert}, key=None)
    ).status_code == 401
