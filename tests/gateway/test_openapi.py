"""Schemathesis sends what the OpenAPI allows and much that it does not; the answers are those that it promises."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.doors import KEY, Door, Server
from tests.gateway.test_bad_input import DOORS, open_catalog
from tests.gateway.test_front_door_page import served

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth",
)  # fmt: skip


async def test_every_door_is_described(door: Door) -> None:
    described = (await door.http.get("/openapi.json")).json()
    posted = {path for path, routes in described["paths"].items() if "post" in routes}
    assert posted == {"/silences", *(path.replace("uptime", "{name}") for path in DOORS)}
    for path in posted:
        assert "503" in described["paths"][path]["post"]["responses"]
        assert described["paths"][path]["post"]["requestBody"]["required"]
        ways = {name for way in described["paths"][path]["post"]["security"] for name in way}
        assert ways == described["components"]["securitySchemes"].keys()


@pytest.mark.slow
@pytest.mark.parametrize("examples", [3, pytest.param(20, marks=pytest.mark.full)])
async def test_answers_are_what_the_openapi_says_whatever_is_sent(
    server: Server, tmp_path: Path, examples: int
) -> None:
    async with served(server, open_catalog()) as door:
        run = await asyncio.to_thread(schemathesis, f"http://{door}/openapi.json", tmp_path, examples)
    assert run.returncode == 0, run.stdout[-6_000:] + run.stderr
    assert "Tested: 14" in run.stdout, run.stdout[-6_000:]


def schemathesis(address: str, folder: Path, examples: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", address,
            "--header", f"Authorization: Bearer {KEY}", "--checks", ",".join(CHECKS), "--max-examples", str(examples),
            "--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--seed", "1", "--no-color",
        ],
        cwd=folder, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
