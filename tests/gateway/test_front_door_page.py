"""What docs/front-door.md tells people to write works as it is written there, with a real Alertmanager."""

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from gateway.front_door import Temporal, front_door
from gateway.rulebook import Rulebook, Rules
from gateway.serving import serve
from models.catalog import Catalog
from models.gateway_spec import GrafanaSignature
from models.incident import Phase
from models.quantities import HostPort
from tests.gateway.doors import KEY, AuditLog, Door, Server, a_catalog, a_service_name
from tests.whole.test_docs import blocks
from tests.workers.dev_server import free_port
from tests.workflows.harness import until

PAGE = Path("docs/front-door.md")


def parsed(language: str) -> Any:
    (block,) = blocks(PAGE, language)
    return YAML(typ="safe").load(block)


def test_the_catalog_of_the_page_has_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = parsed("yaml")
    for key in written["gateway"]["keys"].values():
        key["secret"] = "${env:ANY}"
    for name in ("ANY", "GRAFANA_SECRET", "SENTRY_CLIENT_SECRET", "PAGERDUTY_SECRET", "UPTIME_SECRET"):
        monkeypatch.setenv(name, "secret")
    rules = Rules.of(a_catalog(**written))
    assert set(rules.signing) == {"grafana", "sentry", "pagerduty", "generic/uptime"}


def test_grafana_is_told_the_headers_that_are_looked_for() -> None:
    settings = parsed("yaml grafana")["contactPoints"][0]["receivers"][0]["settings"]["hmacConfig"]
    spec = GrafanaSignature(secret="any")
    assert (settings["header"], settings["timestampHeader"]) == (spec.header, spec.timestamp_header)


async def test_the_alerts_of_the_page_are_taken(door: Door) -> None:
    (block,) = blocks(PAGE, "json")
    answer = await door.post("/alerts", json.loads(block))
    assert answer.status_code == 200, answer.text
    assert answer.json()["taken"] + len(answer.json()["suppressed"]) == 2


@asynccontextmanager
async def served(server: Server, catalog: Catalog | None = None) -> AsyncIterator[HostPort]:
    """The front door on a port."""
    app = front_door(Rulebook(Rules.of(catalog or a_catalog())), Temporal(server.client), AuditLog())
    there: asyncio.Future[HostPort] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, there.set_result))
    try:
        yield await there
    finally:
        signal.raise_signal(signal.SIGTERM)  # as it is told to stop; cut off, it would leave its listener to the loop
        await serving
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


@asynccontextmanager
async def alertmanager(tmp_path: Path, url: str) -> AsyncIterator[str]:
    """A real one, with the configuration of the page; yields where it answers."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("there is no Alertmanager; on Debian: apt-get install prometheus-alertmanager")
    config, key = tmp_path / "alertmanager.yml", tmp_path / "key"
    key.write_text(KEY)
    (written,) = blocks(PAGE, "yaml alertmanager")
    written = written.replace("http://127.0.0.1:8080/webhooks/alertmanager", url)
    config.write_text(
        written.replace("/etc/alertmanager/holdfast.key", str(key)).replace("group_interval: 1m", "group_interval: 1s")
    )
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            program, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address={address}", "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                try:
                    return (await http.get(f"http://{address}/-/ready")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(answers, "Alertmanager to be there")
        yield f"http://{address}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def test_a_real_alertmanager_opens_an_incident_and_closes_it(server: Server, tmp_path: Path) -> None:
    service = a_service_name()
    alert = {
        "labels": {"alertname": "HighErrorRate", "service": service, "severity": "critical"},
        "annotations": {"summary": "5% of requests fail"},
        "generatorURL": "http://prometheus:9090/graph",
    }
    async with (
        served(server) as door,
        alertmanager(tmp_path, f"http://{door}/webhooks/alertmanager") as there,
        httpx.AsyncClient() as http,
    ):
        assert (await http.post(f"{there}/api/v2/alerts", json=[alert])).status_code == 200
        found: list[str] = []

        async def opened() -> bool:
            listed = server.client.list_workflows(f"Service = '{service}' AND WorkflowType = 'Incident'")
            found[:] = [each.id async for each in listed]
            return bool(found)

        await until(opened, "the incident to open")
        state = await server.state(found[0])
        assert (state.phase, state.title, state.count) == (Phase.TRIGGERED, "5% of requests fail", 1)

        ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        await http.post(f"{there}/api/v2/alerts", json=[{**alert, "endsAt": ended}])

        async def resolved() -> bool:
            return (await server.state(found[0])).phase is Phase.RESOLVED

        await until(resolved, "the incident to be resolved")
