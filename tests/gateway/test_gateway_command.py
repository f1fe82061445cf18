"""`holdfast gateway` as people run it."""

import asyncio
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from devstack.namespace import register_missing_attributes
from models.quantities import HostPort
from runtime.client import connect
from runtime.settings import Settings
from tests.gateway.doors import Server, a_prometheus_alert, a_service_name, from_alertmanager
from tests.whole.platform import HOLDFAST, ROOT, environment, until

CATALOG = """\
version: 1
services:
  shop:
    deploy: {command: ["run", "{port}"]}
    traffic: {listen: "127.0.0.1:18080"}
    rollout: {steps: [{weight: 10%, bake: 1s}]}
"""
GUARDED = """\
gateway:
  keys:
    prometheus: {secret: "${env:PROMETHEUS_KEY}", role: responder}
"""


def a_home(tmp_path: Path, more: str = GUARDED) -> Path:
    (tmp_path / "holdfast.yaml").write_text(CATALOG + more)
    return tmp_path


def settings_of(home: Path, **settings: str) -> dict[str, str]:
    return environment(home, HOLDFAST_CATALOG=str(home / "holdfast.yaml"), PROMETHEUS_KEY="hunter2", **settings)


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[tuple[str, psutil.Process]]:
    """The command, on a free port; yields its address. It has to end with exit code 0 when told to."""
    with (home / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [*HOLDFAST, "gateway", "--port", "0"],
            cwd=ROOT, env=settings_of(home, **settings), stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+);", said)
        assert found, (said, (home / "gateway.log").read_text())
        yield found[1], psutil.Process(process.pid)
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def run(home: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*HOLDFAST, "gateway", *words],
        cwd=ROOT, env=settings_of(home, **settings), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def post(address: str, body: object, **headers: str) -> httpx.Response:
    shown = {"authorization": "Bearer hunter2", **headers}
    return httpx.post(f"{address}/webhooks/alertmanager", json=body, headers=shown, timeout=30)


def audited(home: Path) -> list[tuple[str, str, str]]:
    with sqlite3.connect(home / "records.db") as database:
        return database.execute("SELECT who, what, outcome FROM audit_log ORDER BY at").fetchall()


async def test_it_takes_alerts_audits_every_access_and_keeps_its_key_to_itself(server: Server, tmp_path: Path) -> None:
    home = a_home(tmp_path)
    batch = from_alertmanager(a_prometheus_alert(a_service_name()))
    target = server.client.service_client.config.target_host
    with serving(home, HOLDFAST_TEMPORAL_ADDRESS=target) as (address, _):
        taken = await asyncio.to_thread(post, address, batch)
        assert taken.status_code == 200, taken.text
        refused = await asyncio.to_thread(post, address, batch, authorization="Bearer wrong")
        assert refused.status_code == 401
        assert (await asyncio.to_thread(httpx.get, f"{address}/readyz")).status_code == 200
        assert (
            "/webhooks/alertmanager" in (await asyncio.to_thread(httpx.get, f"{address}/openapi.json")).json()["paths"]
        )
    assert audited(home) == [
        ("prometheus", "POST /webhooks/alertmanager", "accepted"),
        ("unknown", "POST /webhooks/alertmanager", "refused"),
        ("unknown", "GET /openapi.json", "accepted"),
    ]
    for path in home.rglob("*"):
        if path.is_file() and "records.db" not in path.name:
            assert b"hunter2" not in path.read_bytes(), path
    await server.counts(taken.json()["incidents"][0]["incident"], 1)


def test_without_temporal_it_serves_and_says_so(tmp_path: Path) -> None:
    with serving(a_home(tmp_path), HOLDFAST_TEMPORAL_ADDRESS="127.0.0.1:1") as (address, _):
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert httpx.get(f"{address}/readyz").status_code == 503
        answer = post(address, from_alertmanager(a_prometheus_alert("shop")))
        assert (answer.status_code, answer.json()["failed"][0]["why"]) == (503, "Temporal is not reached")
    assert audited(tmp_path)[0][2] == "failed"


def test_a_catalog_that_is_edited_counts_and_one_with_a_mistake_does_not(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    with serving(home, HOLDFAST_TEMPORAL_ADDRESS="127.0.0.1:1", OTHER_KEY="other") as (address, _):

        def name_of(key: str) -> str:
            answer = httpx.get(f"{address}/access", headers={"x-api-key": key})
            return str(answer.json().get("name", ""))

        assert (name_of("hunter2"), name_of("other")) == ("prometheus", "")
        (home / "holdfast.yaml").write_text(CATALOG + GUARDED.replace("PROMETHEUS_KEY", "OTHER_KEY"))
        until(lambda: name_of("other") == "prometheus", "the new key to count", within=10)
        (home / "holdfast.yaml").write_text(CATALOG + GUARDED + "nonsense: 1\n")
        until(lambda: "stays in force" in (home / "gateway.log").read_text(), "the mistake to be said", within=10)
        assert name_of("other") == "prometheus"


@pytest.mark.parametrize(
    ("more", "words", "settings", "code", "said"),
    [
        ("", ("--host", "0.0.0.0"), {}, 2, "Anybody could open incidents at 0.0.0.0. Give"),
        (GUARDED, ("--host", "192.0.2.1", "--port", "1"), {}, 1, "cannot listen on 192.0.2.1:1"),
        (GUARDED.replace("PROMETHEUS_KEY", "NO_SUCH_VARIABLE"), (), {}, 2, "NO_SUCH_VARIABLE, which the catalog"),
        (GUARDED, (), {"PROMETHEUS_KEY": ""}, 2, "the key prometheus is empty"),
        (GUARDED.replace('"${env:PROMETHEUS_KEY}"', "hunter3"), (), {}, 2, "secrets never stand in the catalog"),
        ("gateway: {signatures: {generic: {uptime: {secret: '${env:X}'}}}}\n", (), {}, 2, "no source uptime"),
    ],
    ids=["open to all", "no such address", "no such secret", "empty secret", "written secret", "no such source"],
)
def test_a_gateway_that_cannot_be_is_refused_with_a_sentence(
    tmp_path: Path, more: str, words: tuple[str, ...], settings: Mapping[str, str], code: int, said: str
) -> None:
    settings = {"HOLDFAST_TEMPORAL_ADDRESS": "127.0.0.1:1", **settings}
    home = a_home(tmp_path, more)
    ended = subprocess.run(
        [*HOLDFAST, "gateway", *words],
        cwd=ROOT, env={**settings_of(home), **settings}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "hunter3" not in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_flood_of_large_batches_takes_bounded_memory(temporal: HostPort, tmp_path: Path) -> None:
    """Twenty batches of 4 MB at once, and many small ones between them; no worker runs, as alerts need none."""
    client = await connect(Settings(temporal_address=temporal))
    while await register_missing_attributes(client):
        pass
    home = a_home(tmp_path)
    service = a_service_name()
    labels = {f"label{number}": "x" * 200 for number in range(10)}
    large = json.dumps(
        from_alertmanager(
            *(a_prometheus_alert(service, "Big", **labels, n=str(n)) for n in range(1_400)),
        )
    )
    small = json.dumps(from_alertmanager(a_prometheus_alert(service, "Small")))
    headers = {"authorization": "Bearer hunter2", "content-type": "application/json"}
    (home / "holdfast.yaml").write_text(CATALOG + GUARDED + "incidents: {group_by: [alertname, service]}\n")
    with serving(home, HOLDFAST_TEMPORAL_ADDRESS=temporal) as (address, process):
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        async with httpx.AsyncClient(timeout=90, limits=httpx.Limits(max_connections=300)) as http:
            url = f"{address}/webhooks/alertmanager"
            bodies = [large if number % 15 == 0 else small for number in range(300)]
            answers = await asyncio.gather(*(http.post(url, content=body, headers=headers) for body in bodies))
        watching.cancel()
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert most < 300 * 2**20
    taken = sum(answer.json()["taken"] for answer in answers if answer.status_code == 200)
    assert taken >= 280
