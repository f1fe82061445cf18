import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
import sentry_sdk
from temporalio.client import WorkflowFailureError
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime.client import connect
from runtime.sentry import flush_sentry, init_sentry
from runtime.settings import Settings
from tests.workers.eventually import eventually
from tests.workers.sample_work import Mishap, SampleMishap, mishap


class Inbox(ThreadingHTTPServer):
    """Receives envelopes as Sentry does: https://develop.sentry.dev/sdk/foundations/transport/envelopes/."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.events: list[dict[str, Any]] = []
        self.raw = b""

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.server_port}/1"


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        assert isinstance(self.server, Inbox)
        self.server.raw += body
        _, *items = body.splitlines()
        headers, payloads = items[::2], items[1::2]
        for header, payload in zip(headers, payloads, strict=True):
            if json.loads(header)["type"] == "event":
                self.server.events.append(json.loads(payload))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
        server.shutdown()
        thread.join()


def _settings(temporal: HostPort, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SENTRY_DSN", inbox.dsn)
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")
    settings = Settings(temporal_address=temporal)
    assert init_sentry(settings)
    return settings


def test_nothing_is_started_without_a_dsn() -> None:
    assert not init_sentry(Settings())
    assert not sentry_sdk.get_client().is_active()


async def test_an_activitys_bug_is_reported_with_the_run_it_belongs_to(
    temporal: HostPort, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(_settings(temporal, inbox, monkeypatch))
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleMishap], activities=[mishap]):
        handle = await client.start_workflow(
            "SampleMishap", Mishap(where="activity", kind="bug"), id=queue, task_queue=queue
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    flush_sentry()
    (event,) = inbox.events
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["tags"] == {
        "temporal.kind": "activity",
        "temporal.workflow_id": queue,
        "temporal.run_id": handle.result_run_id,
        "temporal.workflow_type": "SampleMishap",
        "temporal.activity_type": "sample.mishap",
        "temporal.attempt": "1",
        "temporal.task_queue": queue,
    }
    assert (event["environment"], event["release"].partition("@")[0]) == ("staging", "holdfast")
    assert b'"vars"' not in inbox.raw


async def test_a_workflows_bug_is_reported_though_it_is_retried_quietly(
    temporal: HostPort, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(_settings(temporal, inbox, monkeypatch))
    queue = str(uuid4())

    async def reported() -> dict[str, Any] | None:
        flush_sentry()
        return inbox.events[0] if inbox.events else None

    async with Worker(client, task_queue=queue, workflows=[SampleMishap], activities=[mishap]):
        handle = await client.start_workflow(
            "SampleMishap", Mishap(where="workflow", kind="bug"), id=queue, task_queue=queue
        )
        event = await eventually(reported)
        await handle.terminate()
    assert event["exception"]["values"][-1]["value"] == "a bug among 7 letters"
    assert event["tags"] == {
        "temporal.kind": "workflow",
        "temporal.workflow_id": queue,
        "temporal.run_id": handle.result_run_id,
        "temporal.workflow_type": "SampleMishap",
        "temporal.attempt": "1",
        "temporal.task_queue": queue,
    }


@pytest.mark.parametrize("where", ["workflow", "activity"])
async def test_a_refusal_is_not_a_bug(
    temporal: HostPort, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    client = await connect(_settings(temporal, inbox, monkeypatch))
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleMishap], activities=[mishap]):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(
                "SampleMishap", Mishap(where=where, kind="refusal"), id=queue, task_queue=queue
            )
    flush_sentry()
    assert inbox.events == []
