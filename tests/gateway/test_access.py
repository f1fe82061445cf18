"""Who may send alerts, how they prove it, how often, and what the audit log says of it."""

import asyncio
import base64
from collections.abc import Mapping

import pytest

from tests.gateway.doors import KEY, VIEWER_KEY, Door, Server, a_catalog, a_door, a_service_name

ALERT = {"title": "the disk is full", "service": "shop"}


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{key}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}, {"authorization": basic(KEY)}],
    ids=["bearer", "own header", "password"],
)
async def test_a_key_is_shown_in_any_way_that_senders_know(door: Door, headers: Mapping[str, str]) -> None:
    answer = await door.post("/alerts", {**ALERT, "service": a_service_name()}, key=None, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic !"},
        {"authorization": basic("wrong")},
        {"x-api-key": "caf\u00e9"},
        {"authorization": f"Bearer {KEY} and more"},
    ],
)
async def test_without_a_key_that_is_known_nothing_is_taken(door: Door, headers: Mapping[str, str]) -> None:
    answer = await door.post("/alerts", ALERT, key=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    (entry,) = door.log.entries
    assert (entry.who, entry.outcome, entry.why[:3]) == ("unknown", "refused", "401")


async def test_a_viewer_may_look_and_send_nothing(door: Door) -> None:
    answer = await door.post("/alerts", ALERT, key=VIEWER_KEY)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "The key screen is a viewer's; this takes a responder's."
    known = await door.http.get("/access", headers={"x-api-key": VIEWER_KEY})
    assert known.json() == {"name": "screen", "role": "viewer"}


async def test_every_access_is_in_the_audit_log_without_its_key(door: Door) -> None:
    service = a_service_name()
    await door.post("/alerts", {**ALERT, "service": service})
    await door.post("/alerts", {"title": ""})
    await door.post("/alerts", ALERT, key=VIEWER_KEY)
    assert [(entry.who, entry.what, entry.outcome) for entry in door.log.entries] == [
        ("prometheus", "POST /alerts", "accepted"),
        ("prometheus", "POST /alerts", "refused"),
        ("screen", "POST /alerts", "refused"),
    ]
    assert "1 taken" in door.log.entries[0].note
    assert KEY not in "".join(entry.model_dump_json() for entry in door.log.entries)


async def test_what_no_door_serves_is_in_the_audit_log_and_cannot_fill_it(door: Door) -> None:
    await door.http.get("/openapi.json")
    await door.http.get("/healthz")
    await door.http.get("/alerts")
    for number in range(300):
        await door.http.get(f"/{number}.php")
    said = [(entry.what, entry.outcome, entry.why) for entry in door.log.entries]
    assert said[:3] == [
        ("GET /openapi.json", "accepted", "200"),
        ("GET /alerts", "refused", "405"),
        ("GET /0.php", "refused", "404"),
    ]
    assert 30 <= len(said) < 40


async def test_a_host_that_is_refused_is_in_the_audit_log(server: Server) -> None:
    async with a_door(server.client, a_catalog(gateway={"keys": {}})) as door:
        await door.post("/alerts", ALERT, key=None, headers={"host": "evil.example"})
        assert [(entry.what, entry.why) for entry in door.log.entries] == [("POST /alerts", "400")]


async def test_beyond_its_rate_a_key_is_told_when_to_come_again_and_others_are_not(server: Server) -> None:
    keys = {
        "busy": {"secret": "busy", "role": "responder", "rate": {"per_second": 0.5, "burst": 3}},
        "calm": {"secret": "calm", "role": "responder"},
    }
    async with a_door(server.client, a_catalog(gateway={"keys": keys})) as door:
        alert = {**ALERT, "service": a_service_name()}
        answers = [await door.post("/alerts", alert, key="busy") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
        assert (await door.post("/alerts", alert, key="calm")).status_code == 200
    refused = [entry for entry in door.log.entries if entry.why.startswith("429")]
    assert len(refused) == 1  # one entry stands for many, or they would fill a disk


async def test_an_address_that_keeps_guessing_is_no_longer_answered_and_keys_still_are(door: Door) -> None:
    answers = [await door.post("/alerts", ALERT, key=f"guess {number}") for number in range(30)]
    assert {answer.status_code for answer in answers[:15]} == {401}
    assert answers[-1].status_code == 429
    assert (await door.post("/alerts", {**ALERT, "service": a_service_name()})).status_code == 200


async def test_pages_of_other_origins_may_call_only_where_the_catalog_says(server: Server, door: Door) -> None:
    asked = {"origin": "https://ops.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in (await door.http.options("/alerts", headers=asked)).headers
    async with a_door(server.client, a_catalog(gateway={"cors_origins": ["https://ops.example"]})) as open_door:
        allowed = await open_door.http.options("/alerts", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://ops.example"
        other = await open_door.http.options("/alerts", headers={**asked, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_without_keys_it_answers_this_machine_s_own_names_only(server: Server) -> None:
    async with a_door(server.client, a_catalog(gateway={"keys": {}})) as door:
        alert = {**ALERT, "service": a_service_name()}
        assert (await door.post("/alerts", alert, key=None)).status_code == 200
        rebound = await door.post("/alerts", alert, key=None, headers={"host": "evil.example"})
        assert rebound.status_code == 400


async def test_a_page_cannot_send_alerts_without_asking_first(server: Server) -> None:
    """Content types that browsers send to any origin without a preflight are refused."""
    async with a_door(server.client, a_catalog(gateway={"keys": {}})) as door:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await door.post("/alerts", ALERT, key=None, headers={"content-type": kind})
            assert answer.status_code == 415


async def test_a_key_that_is_changed_in_the_catalog_counts_at_once(door: Door) -> None:
    from gateway.rulebook import Rules

    alert = {**ALERT, "service": a_service_name()}
    door.rulebook.rules = Rules.of(a_catalog(gateway={"keys": {"new": {"secret": "new", "role": "operator"}}}))
    old, new = await asyncio.gather(door.post("/alerts", alert), door.post("/alerts", alert, key="new"))
    assert (old.status_code, new.status_code) == (401, 200)
