"""Silences through the front door: who may ask for them, what they do to alerts, and what happens without Temporal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from activities.known_silences import COUNT_FOR, KnownSilences
from gateway.rulebook import Rules
from models.silences import KeptSilence
from tests.gateway.doors import Door, Server, a_catalog, a_door, a_service_name
from tests.workflows.harness import until
from tests.workflows.silences_harness import Quiet, silence

ROLES = ("viewer", "responder", "operator", "admin")


@pytest_asyncio.fixture
async def quiet(server: Server) -> Quiet:
    """Silences of an environment of its own."""
    return Quiet(server.client)


def catalog_of(quiet: Quiet, **more: Any) -> Any:
    keys = {role: {"secret": f"key-{role}", "role": role} for role in ROLES}
    catalog = a_catalog(gateway={"keys": keys}, **more)
    return catalog.model_copy(update={"environment": quiet.environment})


@pytest_asyncio.fixture
async def door(server: Server, quiet: Quiet) -> AsyncIterator[Door]:
    async with a_door(server.client, catalog_of(quiet)) as door:
        yield door


async def call(door: Door, method: str, path: str, body: object = None, *, role: str = "operator") -> httpx.Response:
    return await door.http.request(method, path, json=body, headers={"x-api-key": f"key-{role}"} if role else {})


async def silenced(door: Door, service: str, **said: object) -> str:
    body = {"match": [f"service={service}"], **(said or {"for": "2h"})}
    answer = await call(door, "POST", "/silences", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def sent(door: Door, service: str) -> dict[str, Any]:
    answer = await call(door, "POST", "/alerts", {"title": "the disk is full", "service": service}, role="responder")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_is_silenced_opens_nothing_and_why_is_recorded(server: Server, door: Door, quiet: Quiet) -> None:
    service = a_service_name()
    silence_id = await silenced(door, service, **{"for": "2h", "reason": "a move"})
    answer = await sent(door, service)
    assert (answer["taken"], answer["incidents"]) == (0, [])
    (said,) = answer["suppressed"]
    assert said["by"] == "silence"
    assert said["why"].startswith(f"the silence {silence_id} (a move; by operator) is in force until")
    (entry,) = await server.suppressed(answer["request"])
    assert (entry.outcome, entry.why) == ("suppressed", said["why"])
    assert (await sent(door, a_service_name()))["taken"] == 1


async def test_once_it_is_expired_what_still_fires_opens_its_incident(door: Door) -> None:
    service = a_service_name()
    silence_id = await silenced(door, service)
    assert (await sent(door, service))["taken"] == 0
    ended = await call(door, "DELETE", f"/silences/{silence_id}")
    assert (ended.status_code, ended.json()["standing"]) == (200, "ended")
    assert (await sent(door, service))["taken"] == 1


async def test_once_its_time_is_over_what_still_fires_opens_its_incident(door: Door) -> None:
    service = a_service_name()
    await silenced(door, service, **{"for": "2s"})
    assert (await sent(door, service))["taken"] == 0

    async def free() -> bool:
        return int((await sent(door, service))["taken"]) == 1

    await until(free, "the silence to end")


async def test_what_is_ordered_elsewhere_counts_within_two_seconds(door: Door, quiet: Quiet) -> None:
    service = a_service_name()
    await quiet.add("s-elsewhere", match=f"service={service}")
    await asyncio.sleep(2)  # it is the promise that is tried
    assert (await sent(door, service))["suppressed"]


async def test_a_gateway_that_starts_knows_what_is_silent_before_its_first_alert(server: Server, quiet: Quiet) -> None:
    service = a_service_name()
    await quiet.add("s-before", match=f"service={service}")
    async with a_door(server.client, catalog_of(quiet)) as door:
        assert (await sent(door, service))["taken"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("GET", "/silences", None, "viewer"),
        ("GET", "/silences/s-0", None, "viewer"),
        ("POST", "/alerts", {"title": "x"}, "responder"),
        ("POST", "/silences", {"match": "a=b", "for": "1h"}, "operator"),
        ("DELETE", "/silences/s-0", None, "operator"),
        ("POST", "/silences", {"match": "a=b", "for": "30d"}, "admin"),
        ("POST", "/silences", {"match": "a=b", "every": "mon 02:00 – mon 03:00"}, "admin"),
    ],
)
async def test_each_role_may_do_what_is_its_own_and_what_those_before_it_may(
    door: Door, method: str, path: str, body: object, least: str
) -> None:
    for role in ROLES:
        answer = await call(door, method, path, body, role=role)
        if ROLES.index(role) < ROLES.index(least):
            assert answer.status_code == 403, (role, answer.text)
            assert f"The key {role} is a {role}'s; this takes a" in answer.json()["detail"]
        else:
            assert answer.status_code in {200, 201, 404}, (role, answer.text)
    assert (await call(door, method, path, body, role="")).status_code == 401
    refused = [entry for entry in door.log.entries if entry.outcome == "refused" and "403" in entry.why]
    assert len(refused) == ROLES.index(least)


async def test_those_of_the_catalog_are_listed_too(server: Server, quiet: Quiet) -> None:
    weekly = {"name": "nightly", "match": "service=db", "every": "mon 02:00 – mon 03:00"}
    async with a_door(server.client, catalog_of(quiet, incidents={"silences": [weekly]})) as door:
        await silenced(door, "shop")
        listed = (await call(door, "GET", "/silences", role="viewer")).json()["silences"]
    assert [(each["kept"], each["by"]) for each in listed] == [
        ("in the catalog", "the catalog"),
        ("by hand", "operator"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "match"),
        ({"match": "a=b"}, "one of for, until and every"),
        ({"match": "what", "for": "1h"}, "matcher"),
        ({"match": "a=~(", "for": "1h"}, "regular expression"),
        ({"match": "a=b", "for": "2"}, "duration"),
        ({"match": "a=b", "until": "2021-01-01 00:00"}, "before it begins"),
        ({"match": "a=b", "for": "1h", "lasts": "1h"}, "lasts"),
        ([], "body"),
    ],
)
async def test_what_cannot_be_silenced_is_answered_with_why(door: Door, body: object, said: str) -> None:
    answer = await call(door, "POST", "/silences", body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_what_is_not_there_is_not_found(door: Door) -> None:
    for method, path in (("GET", "/silences/s-9"), ("DELETE", "/silences/s-9"), ("DELETE", "/silences/NO!")):
        answer = await call(door, method, path)
        assert answer.status_code == 404
        assert "here is no silence" in answer.json()["detail"]


async def test_without_temporal_nothing_is_silenced_and_orders_are_answered_503(quiet: Quiet) -> None:
    async with a_door(None, catalog_of(quiet)) as door:
        for method, path, body in (
            ("GET", "/silences", None),
            ("POST", "/silences", {"match": "a=b", "for": "1h"}),
            ("DELETE", "/silences/s-0", None),
        ):
            answer = await call(door, method, path, body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_what_was_read_long_ago_counts_no_more(server: Server, quiet: Quiet) -> None:
    now, seconds = datetime.now(UTC), 0.0
    known = KnownSilences(lambda: now, lambda: seconds)
    await quiet.add("s-1")
    await known.look(server.client, quiet.environment)
    assert [each.name for each in known.in_force()] == ["s-1"]
    seconds = COUNT_FOR.total_seconds() - 1
    assert known.in_force()
    seconds = COUNT_FOR.total_seconds() + 1
    assert known.in_force() == ()
    await known.look(server.client, quiet.environment)
    assert known.in_force()


async def test_an_order_of_ones_own_counts_at_once() -> None:
    now = datetime.now(UTC)
    known = KnownSilences(lambda: now, lambda: 1.0)
    known.heard(KeptSilence(spec=silence("s-1"), by="ada", created_at=now))
    assert [each.name for each in known.in_force()] == ["s-1"]


async def test_a_catalog_of_another_environment_reads_that_one_s_silences(server: Server, door: Door) -> None:
    other = Quiet(server.client)
    await other.add("s-other")
    door.rulebook.rules = Rules.of(catalog_of(other))
    listed = await call(door, "GET", "/silences", role="viewer")
    assert [each["id"] for each in listed.json()["silences"]] == ["s-other"]
