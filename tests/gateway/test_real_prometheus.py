"""A real Prometheus and a real Alertmanager take an incident through acknowledge, escalate and resolve."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from models.incident import Order, Phase
from models.notification import NotificationKind
from models.temporal_names import IncidentSignal
from starters.handles import incident_called
from tests.gateway.doors import Server, a_catalog, a_service_name
from tests.gateway.test_front_door_page import alertmanager, served
from tests.workers.dev_server import free_port
from tests.workflows.harness import until

LEVEL = {"notify": ["console"], "wait": "2s"}
POLICY = {"levels": [LEVEL, {**LEVEL, "wait": "12h"}], "repeat": 0}
RESOLVES = {"reopen_within": "10m"}


class Shop:
    """Shows one metric, which a test sets."""

    def __init__(self, service: str) -> None:
        self.service, self.error_ratio = service, 0.0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._show, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            yield f"{host}:{port}"
        finally:
            server.close()

    async def _show(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"shop_error_ratio {self.error_ratio}\n"
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def prometheus(folder: Path, shop: Shop, target: str, alertmanager_at: str) -> AsyncIterator[None]:
    """Looks every half second, and has one alerting rule."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no Prometheus; on Debian: apt-get install prometheus")
    rule = {
        "alert": "HighErrorRate",
        "expr": "max_over_time(shop_error_ratio[5s]) > 0.05",  # a busy machine misses a look now and then
        "for": "1s",
        "labels": {"severity": "critical", "service": shop.service},
        "annotations": {"summary": "more than 5% of requests fail"},
    }
    rules, config = folder / "rules.yml", folder / "prometheus.yml"
    rules.write_text(json.dumps({"groups": [{"name": "shop", "rules": [rule]}]}))
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                "rule_files": [str(rules)],
                "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}],
                "alerting": {
                    "alertmanagers": [{"static_configs": [{"targets": [alertmanager_at.removeprefix("http://")]}]}]
                },
            }
        )
    )
    process = subprocess.Popen(
        [
            program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{free_port()}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def test_what_prometheus_sees_is_paged_escalated_acknowledged_and_resolved(
    server: Server, tmp_path: Path
) -> None:
    shop = Shop(a_service_name())
    catalog = a_catalog(incidents={"policies": {"default": POLICY}, **RESOLVES})
    incident = ""

    async def opened() -> bool:
        nonlocal incident
        listed = server.client.list_workflows(f"Service = '{shop.service}' AND WorkflowType = 'Incident'")
        incident = next(iter([each.id async for each in listed]), "")
        return bool(incident)

    async def is_in(phase: Phase) -> bool:
        return (await server.state(incident)).phase is phase

    async with (
        shop.serving() as target,
        served(server, catalog) as door,
        alertmanager(tmp_path, f"http://{door}/webhooks/alertmanager") as there,
        prometheus(tmp_path, shop, target, there),
    ):
        shop.error_ratio = 0.2
        await until(opened, "the incident to open")
        state = await server.state(incident)
        assert (state.title, state.severity) == ("more than 5% of requests fail", "SEV1")

        async def escalated() -> bool:
            return (2, "console") in server.pager.pages(incident)

        await until(escalated, "the second level to be paged")
        assert (1, "console") in server.pager.pages(incident)

        handle = incident_called(server.client, incident)
        await handle.signal(IncidentSignal.ACKNOWLEDGE, Order(by="ada"))
        await until(lambda: is_in(Phase.ACKNOWLEDGED), "the acknowledge to be heard")

        await handle.signal(IncidentSignal.ESCALATE, Order(by="ada"))
        await until(lambda: is_in(Phase.TRIGGERED), "it to be escalated by a person")
        await handle.signal(IncidentSignal.ACKNOWLEDGE, Order(by="grace"))
        await until(lambda: is_in(Phase.ACKNOWLEDGED), "the second acknowledge to be heard")

        shop.error_ratio = 0.0
        await until(lambda: is_in(Phase.RESOLVED), "what Prometheus no longer sees to be resolved")

    async def told() -> bool:
        return bool(server.pager.of(incident, NotificationKind.UPDATE))

    await until(told, "who was paged to hear that it is over")
    state = await server.state(incident)
    assert (state.resolved_by, state.count) == ("", 1)
    assert await server.runs_of(incident) == 1
