"""Who may have what decoded by the codec server's application."""

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.codec_server import BODY_LIMIT, codec_app
from runtime.keyring import new_entry, parse_keyring

KEYS = parse_keyring(new_entry(date(2026, 1, 1)), "the tests")
UI = "http://127.0.0.1:8233"
JSON = {"content-type": "application/json"}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-namespace"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


PLAIN = {"payloads": [{"metadata": {"encoding": b64(b"json/plain")}, "data": b64(b'"hunter2"')}]}


def caller(
    *, base: str = "http://127.0.0.1:8081", origins: Sequence[str] = (UI,), token: str | None = None
) -> httpx.AsyncClient:
    app = codec_app(KEYS, origins=origins, token=SecretStr(token) if token else None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


async def encoded() -> dict[str, Any]:
    async with caller() as call:
        answer: dict[str, Any] = (await call.post("/encode", json=PLAIN)).json()
        return answer


async def test_what_was_encoded_is_decoded() -> None:
    sealed = await encoded()
    assert b64(b'"hunter2"') not in str(sealed)
    async with caller() as call:
        answer = await call.post("/decode", json=sealed, headers={"x-namespace": "default"})
        assert answer.status_code == 200
        assert answer.json() == PLAIN
        assert (await call.post("/decode", json=PLAIN)).json() == PLAIN


async def test_a_payload_of_an_unknown_key_is_refused_with_a_sentence() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=codec_app(parse_keyring(new_entry(date(2026, 2, 2)), "the tests"))),
        base_url="http://localhost",
    ) as call:
        answer = await call.post("/decode", json=await encoded())
    assert answer.status_code == 400
    assert f"encrypted with key '{KEYS.ids[0]}'" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[1]", b'"text"', b"{", b'{"payloads": [{"data": 1}]}', b"\xff"])
async def test_a_body_that_is_no_payloads_is_refused(body: bytes) -> None:
    async with caller() as call:
        answer = await call.post("/decode", content=body, headers=JSON)
    assert answer.status_code == 400


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with caller() as call:
        answer = await call.post("/decode", content=b" " * (BODY_LIMIT + 1), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_a_page_may_send_without_asking_is_refused(kind: str) -> None:
    """A browser sends these to any address without a preflight."""
    async with caller() as call:
        answer = await call.post("/decode", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer hunter3"}, 401),
        ({"authorization": "hunter2"}, 401),
        ({"authorization": "Bearer hunter2"}, 200),
    ],
)
async def test_with_a_token_only_who_shows_it_is_answered(shown: Mapping[str, str], status: int) -> None:
    sealed = await encoded()
    async with caller(token="hunter2") as call:
        for path in ("/decode", "/encode"):
            answer = await call.post(path, json=sealed, headers=shown)
            assert answer.status_code == status
            assert "hunter2" not in answer.text
        assert (await call.get("/healthz")).json() == {"state": "ok"}


async def test_the_ui_may_call_and_other_pages_may_not() -> None:
    async with caller() as call:
        for origin, allowed in ((UI, True), ("http://evil.example", False), ("null", False)):
            asked = await call.options("/decode", headers={"origin": origin, **PREFLIGHT})
            answer = await call.post("/decode", json=PLAIN, headers={"origin": origin})
            for each in (asked, answer):
                assert each.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert asked.status_code == (200 if allowed else 400)


async def test_without_a_configured_ui_no_page_may_call() -> None:
    async with caller(origins=()) as call:
        assert (await call.options("/decode", headers={"origin": UI, **PREFLIGHT})).status_code == 400


@pytest.mark.parametrize(
    ("base", "token", "status"),
    [
        ("http://evil.example:8081", None, 400),
        ("http://localhost:8081", None, 200),
        ("http://[::1]:8081", None, 200),
        ("http://codec.internal", "hunter2", 200),
    ],
)
async def test_without_a_token_only_this_machines_own_name_is_answered(
    base: str, token: str | None, status: int
) -> None:
    """A page that has its own name lead to this machine is of the same origin, and is asked no token."""
    async with caller(base=base, token=token) as call:
        answer = await call.post("/decode", json=PLAIN, headers={"authorization": "Bearer hunter2"})
    assert answer.status_code == status
