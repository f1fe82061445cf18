"""Whatever is sent: a clear 4xx, never a 500, and nothing lost of the rest of the batch."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.bodies import BODY_LIMIT
from tests.gateway.doors import Door, Server, a_catalog, a_door, a_prometheus_alert, a_service_name, from_alertmanager

DOORS = (
    "/webhooks/alertmanager",
    "/webhooks/grafana",
    "/webhooks/sentry",
    "/webhooks/pagerduty",
    "/webhooks/opsgenie",
    "/webhooks/generic/uptime",
    "/alerts",
)
SOURCES = {
    "uptime": {
        "alerts": "checks", "title": "name", "id": "id", "status": "state", "service": "service", "severity": "grade",
        "labels": "labels", "values": "values", "starts_at": "since", "url": "link", "description": "join(', ', tags)",
    }
}  # fmt: skip


def open_catalog() -> Any:
    """Without limits in the way."""
    gateway = {"rate": {"per_second": 100_000, "burst": 1_000_000}}
    return a_catalog(incidents={"sources": SOURCES}, gateway=gateway)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe{}", 400),
        (b'"\\ud800"', 400),
        (b"NaN", 400),
        (b"[" * 10_000, 400),
        (b"9" * 10_000, 400),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'"text"', 422),
        (b"7", 422),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_is_no_alert_is_refused_with_a_sentence(server: Server, path: str, body: bytes, status: int) -> None:
    async with a_door(server.client, open_catalog()) as door:
        answer = await door.post(path, body)
    assert answer.status_code == status, answer.text
    said = answer.json()
    if status == 400:
        assert said["detail"]
    else:
        (problem,) = said["problems"]
        assert problem["field"]
        assert problem["allowed"]


@pytest.mark.parametrize("path", DOORS)
async def test_a_body_that_is_too_large_is_refused_unread(server: Server, path: str) -> None:
    async with a_door(server.client, open_catalog()) as door:
        answer = await door.post(path, b'"' + b"x" * BODY_LIMIT + b'"')
    assert answer.status_code == 413
    assert str(BODY_LIMIT) in answer.json()["detail"]


async def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(door: Door) -> None:
    async def endless() -> Any:
        for _ in range(BODY_LIMIT // 2**16 + 2):
            yield b"x" * 2**16

    answer = await door.http.post(
        "/alerts", content=endless(), headers={"content-type": "application/json", "x-api-key": "a-key-of-a-responder"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "firing", "labels": {"alertname": "Big", "text": "x" * 2**20}},
        {"status": "firing", "labels": {"alertname": "Big", "x" * 2**20: "text"}},
        {"status": "firing", "labels": {str(number): "x" for number in range(1_000)}},
        {"status": "firing", "labels": {"alertname": {"nested": 1}}},
        {"status": "firing", "labels": {"alertname": "Time"}, "startsAt": "yesterday"},
        {"status": "firing", "labels": {"alertname": "Time"}, "startsAt": 10**4000},
        {"status": "firing", "labels": {"alertname": "Huge", "size": 10**4000}},
        {"status": "firing", "labels": {"alertname": "Value"}, "values": {"A": 10**400}},
        {"status": "on fire", "labels": {"alertname": "Status"}},
        {"status": "firing"},
        {"labels": {"alertname": "NoStatus"}},
        "text",
        None,
    ],
    ids=lambda value: str(value)[:40],
)
async def test_one_alert_that_is_wrong_takes_none_of_the_others_with_it(
    server: Server, door: Door, broken: Any
) -> None:
    first, last = a_prometheus_alert(a_service_name()), a_prometheus_alert(a_service_name())
    answer = await door.post("/webhooks/alertmanager", from_alertmanager(first, broken, last))
    said = answer.json()
    if answer.status_code == 200:  # what is odd and harmless is left out of the alert
        assert said["taken"] == 3
        return
    assert answer.status_code == 422
    assert [problem["index"] for problem in said["problems"]] == [1]
    assert said["taken"] == 2
    assert len(answer.content) < 10_000
    for each in said["incidents"]:
        await server.counts(each["incident"], 1)


async def test_texts_for_people_of_any_size_are_taken_and_cut(server: Server, door: Door) -> None:
    alert = a_prometheus_alert(a_service_name())
    alert["annotations"] = {"summary": "s" * 2**20, "description": "d" * 2**20}
    answer = await door.post("/webhooks/alertmanager", from_alertmanager(alert))
    assert answer.status_code == 200
    assert len((await server.state(answer.json()["incidents"][0]["incident"])).title) == 300


async def test_more_alerts_of_a_key_than_one_signal_holds_are_all_taken(server: Server) -> None:
    service = a_service_name()
    alerts = [a_prometheus_alert(service, instance=str(number), text="x" * 1_000) for number in range(2_500)]
    async with a_door(server.client, a_catalog(incidents={"group_by": ["service"]})) as door:
        answer = await door.post("/webhooks/alertmanager", from_alertmanager(*alerts))
        assert (answer.status_code, answer.json()["taken"]) == (200, 2_500), answer.text[:500]
        await server.counts(answer.json()["incidents"][0]["incident"], 2_500)


async def test_what_a_legacy_webhook_of_sentry_says_is_taken(server: Server, door: Door) -> None:
    project = a_service_name()
    body = {
        "id": "27379932",
        "project": project,
        "level": "error",
        "culprit": "shop.cart",
        "message": "ZeroDivisionError",
    }
    answer = await door.post("/webhooks/sentry", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["incidents"][0]["incident"].startswith(f"incident/local/{project}/")


_NAMES = (  # noqa: SIM905 - a list would be a line a word
    "action alert alertId alerts alertname annotations checks created_at data details entity event event_type "
    "fingerprint generatorURL id issue issue_id labels level link message metric_alert name occurred_at "
    "priority project service severity since startsAt starts_at state status summary tags title url values "
    "version"
).split()  # fmt: skip

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            _NAMES
        )
        | st.text(max_size=10),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip

_WORDS = {
    "/webhooks/alertmanager": {"version": "4"},
    "/webhooks/grafana": {},
    "/webhooks/sentry": {"action": "triggered"},
    "/webhooks/pagerduty": {},
    "/webhooks/opsgenie": {"action": "Create"},
    "/webhooks/generic/uptime": {},
    "/alerts": {},
}


async def test_no_json_at_all_is_answered_with_an_error_of_our_own(server: Server) -> None:
    """Temporal is away, so that only the reading is tried, thousands of times."""
    async with a_door(None, open_catalog()) as door:
        loop = asyncio.get_running_loop()

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(
            path=st.sampled_from(DOORS),
            body=_JSON,
            resource=st.sampled_from(["", "issue", "metric_alert", "event_alert"]),
        )
        def anything(path: str, body: Any, resource: str) -> None:
            if isinstance(body, dict):
                body = {**body, **_WORDS[path]}
            headers = {"sentry-hook-resource": resource} if resource else {}
            sent = door.post(path, json.dumps(body).encode(), headers=headers)
            answer = asyncio.run_coroutine_threadsafe(sent, loop).result(30)
            assert answer.status_code in {200, 400, 422, 503}, (answer.status_code, answer.text, body)
            assert answer.json()

        await asyncio.to_thread(anything)
