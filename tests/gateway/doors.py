"""A front door for tests: the real application before a real Temporal, and senders that sign as vendors do."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkerDeploymentConfig

from devstack.namespace import register_missing_attributes
from gateway.front_door import Temporal, front_door
from gateway.rulebook import Rulebook, Rules
from models.audit import AuditEntry
from models.catalog import Catalog
from models.incident import IncidentState
from models.record import ToRecord
from models.temporal_names import TaskQueue
from runtime.plugin import holdfast_plugin
from starters.handles import incident_called
from tests.factories import SERVER_STARTS_WITHIN
from tests.workflows.fake_pager import FakePager
from tests.workflows.harness import until
from workflows.incident import Incident
from workflows.recording import Recording
from workflows.silences import Silences

KEY, VIEWER_KEY = "a-key-of-a-responder", "a-key-of-a-viewer"
SECRET = "what-both-sides-know"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"a standard secret").decode()


class AuditLog:
    """Entries in memory, in order."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def add(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


@asynccontextmanager
async def incident_server(cli: Path, version: WorkerDeploymentConfig | None = None) -> AsyncIterator["Server"]:
    """A Temporal with the workers that incidents need."""
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(
            await WorkflowEnvironment.start_local(
                plugins=[holdfast_plugin()],
                dev_server_existing_path=str(cli),
                dev_server_log_level="error",
                dev_server_startup_timeout=SERVER_STARTS_WITHIN,
            )
        )
        client = environment.client
        while await register_missing_attributes(client):
            pass
        pager = FakePager()
        a_worker = partial(Worker, client, deployment_config=version)
        for worker in (
            a_worker(task_queue=TaskQueue.INCIDENTS, workflows=[Incident, Silences], max_cached_workflows=200),
            a_worker(task_queue=TaskQueue.NOTIFICATIONS, activities=[pager.notify]),
            a_worker(task_queue=TaskQueue.RECORDS, workflows=[Recording], activities=[pager.write]),
        ):
            await stack.enter_async_context(worker)
        yield Server(client, pager)


class Server:
    def __init__(self, client: Client, pager: FakePager) -> None:
        self.client, self.pager = client, pager

    async def state(self, incident: str) -> IncidentState:
        return await incident_called(self.client, incident).query(Incident.state)

    async def counts(self, incident: str, number: int) -> None:
        """Wait until the incident has counted so many alerts, and no more."""

        async def counted() -> bool:
            return (await self.state(incident)).count >= number

        await until(counted, f"{incident} to count {number} alerts")
        assert (await self.state(incident)).count == number

    async def suppressed(self, request: str, number: int = 1) -> list[AuditEntry]:
        """What was handed to the records of a request, once it is so many: Temporal lists what it has later."""
        found: list[AuditEntry] = []

        async def listed() -> bool:
            found[:] = await self._suppressed(request)
            return len(found) == number

        await until(listed, "the suppression to be recorded")
        return found

    async def _suppressed(self, request: str) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        async for listed in self.client.list_workflows("WorkflowId STARTS_WITH 'record/suppressed/'"):
            handle = self.client.get_workflow_handle(listed.id)
            history = await handle.fetch_history()
            payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
            entries = ToRecord.model_validate_json(payload.data)
            found += [entry for entry in entries.audit if entry.key.startswith(request)]
        return found

    async def runs_of(self, incident: str) -> int:
        listed = self.client.list_workflows(f"WorkflowId = '{incident}'")
        return len([each async for each in listed if each.status is WorkflowExecutionStatus.RUNNING])


def a_catalog(**more: Any) -> Catalog:
    """Keys of a responder and a viewer; `incidents` and `gateway` are added to.

    The incidents of all tests on one server are no storm, unless a test says what is one.
    """
    gateway = {
        "keys": {
            "prometheus": {"secret": KEY, "role": "responder"},
            "screen": {"secret": VIEWER_KEY, "role": "viewer"},
        },
        **more.pop("gateway", {}),
    }
    incidents = {"storm": {"incidents": 100_000}, **more.pop("incidents", {})}
    shop = {
        "deploy": {"command": ["run", "{port}"]},
        "traffic": {"listen": "127.0.0.1:18080"},
        "rollout": {"steps": [{"weight": "10%", "bake": "1s"}]},
    }
    services = more.pop("services", {"shop": shop})
    for service in services.values():
        for key, value in shop.items():
            service.setdefault(key, value)
    written = {"version": 1, "environment": "local", "services": services, "gateway": gateway}
    written |= {"incidents": incidents, **more}
    return Catalog.model_validate_json(json.dumps(written), extra="forbid")


class Door:
    """The application, and a caller that has a key unless told otherwise."""

    def __init__(self, http: httpx.AsyncClient, log: AuditLog, temporal: Temporal, rulebook: Rulebook) -> None:
        self.http, self.log, self.temporal, self.rulebook = http, log, temporal, rulebook

    async def post(
        self, path: str, body: object, *, key: str | None = KEY, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """`body` is sent as JSON unless it is bytes already."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = {"authorization": f"Bearer {key}"} if key else {}
        sent = {"content-type": "application/json", **shown, **(headers or {})}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
        return await self.http.post(path, content=content, headers=raw)


@asynccontextmanager
async def a_door(client: Client | None, catalog: Catalog | None = None) -> AsyncIterator[Door]:
    log, temporal = AuditLog(), Temporal(client)
    rulebook = Rulebook(Rules.of(catalog or a_catalog()))
    app = front_door(rulebook, temporal, log)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=timedelta(minutes=2).total_seconds()
        ) as http:
            yield Door(http, log, temporal, rulebook)


def a_service_name() -> str:
    """One that no other test uses."""
    return f"shop-{uuid.uuid4().hex[:8]}"


def from_alertmanager(*alerts: Mapping[str, object], **more: object) -> dict[str, object]:
    return {
        "version": "4",
        "status": "firing",
        "receiver": "holdfast",
        "groupKey": "{}:{}",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
        **more,
    }


def a_prometheus_alert(
    service: str, name: str = "HighErrorRate", status: str = "firing", **labels: str
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "service": service, **labels},
        "annotations": {"summary": f"{name} of {service}"},
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": hashlib.sha256(f"{service}{name}{labels}".encode()).hexdigest()[:16],
    }


def hex_signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
