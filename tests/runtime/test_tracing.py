"""Spans of a process, as a collector receives them."""

import contextvars
import gc
import io
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import AnyHttpUrl
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime import spans, tracing
from runtime.client import connect
from runtime.logs import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.tracing import end_tracing, init_tracing, tracing_interceptors
from tests.collector import Collector, Span, collecting
from tests.workers.eventually import eventually
from tests.workers.sample_work import Errand, Mishap, SampleErrand, SampleMishap, errand, mishap


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """OpenTelemetry keeps the first provider of a process for good, so all tests here share one."""
    with collecting() as running:
        assert init_tracing(Settings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": running.endpoint}), "tested")
        yield running
        tracing._process = None


@pytest.fixture
async def client(temporal: HostPort, collector: Collector) -> Client:
    return await connect(Settings(temporal_address=temporal))


async def run_errands(client: Client, folder: Path, times: int, queue: str) -> None:
    (folder / "go").touch()
    for index in range(times):
        await client.execute_workflow(
            "SampleErrand", Errand(folder=str(folder)), id=f"errand/{queue}/{index}", task_queue=queue
        )


def spans_of(collector: Collector, queue: str) -> list[Span]:
    end_tracing()
    ours = {span.trace for span in collector.spans() if any(queue in value for value in span.attributes.values())}
    return [span for span in collector.spans() if span.trace in ours]


ONE_ERRAND = {
    "StartWorkflow:SampleErrand": 1,
    "RunWorkflow:SampleErrand": 1,
    "StartActivity:sample.errand": 1,
    "RunActivity:sample.errand": 1,
}


async def test_a_worker_that_keeps_no_workflow_in_memory_replays_without_a_second_span(
    client: Client, collector: Collector, tmp_path: Path
) -> None:
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleErrand], activities=[errand], max_cached_workflows=0):
        await run_errands(client, tmp_path, 3, queue)
    found = spans_of(collector, queue)

    assert Counter(span.name for span in found) == dict.fromkeys(ONE_ERRAND, 3)
    assert len({span.trace for span in found}) == 3
    assert len({span.id for span in found}) == len(found)


async def test_a_worker_that_stops_in_the_middle_leaves_the_rest_to_the_next(
    client: Client, collector: Collector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleErrand]):
        handle = await client.start_workflow(
            "SampleErrand", Errand(folder=str(tmp_path)), id=f"errand/{queue}", task_queue=queue
        )

        async def someone_is_sent_out() -> bool:
            return bool((await handle.describe()).raw_description.pending_activities)

        await eventually(someone_is_sent_out)
    gc.collect()  # what is left of the workflow's coroutine is closed now, outside of any workflow
    (tmp_path / "go").touch()
    async with Worker(client, task_queue=queue, workflows=[SampleErrand], activities=[errand]):
        await handle.result()
    names = Counter(span.name for span in spans_of(collector, queue))

    assert names == ONE_ERRAND
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_look_at_the_state_makes_no_span(client: Client, collector: Collector, tmp_path: Path) -> None:
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleErrand], activities=[errand]):
        await run_errands(client, tmp_path, 1, queue)
        handle = client.get_workflow_handle(f"errand/{queue}/0")
        assert await handle.query("__temporal_workflow_metadata")

    assert Counter(span.name for span in spans_of(collector, queue)) == ONE_ERRAND


async def test_a_failure_is_sent_as_its_type_without_its_text(client: Client, collector: Collector) -> None:
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleMishap], activities=[mishap]):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(
                "SampleMishap", Mishap(where="activity", kind="bug"), id=queue, task_queue=queue
            )
    failed = {span.name for span in spans_of(collector, queue) if span.failed}

    assert failed == {"RunWorkflow:SampleMishap", "RunActivity:sample.mishap"}
    assert b"ValueError" in collector.raw
    assert b"a bug among" not in collector.raw
    assert b"sample_work.py" not in collector.raw


async def test_log_lines_of_workflows_and_activities_carry_their_trace(
    client: Client, collector: Collector, tmp_path: Path
) -> None:
    stream, queue = io.StringIO(), str(uuid4())
    configure_logging(Settings(), stream)
    async with Worker(client, task_queue=queue, workflows=[SampleErrand], activities=[errand]):
        await run_errands(client, tmp_path, 1, queue)
    traces = {line["message"]: line.get("trace_id") for line in map(json.loads, stream.getvalue().splitlines())}
    (ours,) = {span.trace for span in spans_of(collector, queue)}

    assert traces["sending someone out"] == ours
    assert traces["out on an errand"] == ours


def test_a_collector_that_goes_and_comes_is_told_once_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spans, "SEND_TIMEOUT_S", 0.3)
    caplog.set_level("INFO", logger="runtime.spans")
    with collecting() as here:
        endpoint = AnyHttpUrl(here.endpoint)
    sending = spans._Discreet(endpoint, None)
    for _ in range(2):
        sending.export([])
    with collecting(port=here.server_port):
        for _ in range(2):
            sending.export([])

    assert [record.getMessage() for record in caplog.records] == [
        f"Traces are not taken at {here.endpoint}/v1/traces and are dropped; is the collector up?",
        "Traces are taken again",
    ]
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("answers", ["refuses", "never answers"])
def test_a_collector_that_is_away_holds_no_command_up(monkeypatch: pytest.MonkeyPatch, answers: str) -> None:
    monkeypatch.setattr(spans, "SEND_TIMEOUT_S", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = AnyHttpUrl(f"http://127.0.0.1:{silent.getsockname()[1]}")
        if answers == "refuses":
            silent.close()
        process = spans.Spans(endpoint, None, {"service.name": "tested"})
        monkeypatch.setattr(tracing, "_process", process)
        contextvars.copy_context().run(process.begin, "holdfast deploy")
        began = time.monotonic()
        end_tracing(0)

        assert time.monotonic() - began < 10  # 0.8 s, on a machine that has better things to do; sending takes 60


def test_nothing_is_traced_without_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_process", None)

    assert not init_tracing(Settings(), "tested")
    assert tracing_interceptors() == []


def test_an_endpoint_that_is_no_address_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")

    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317'.*http://127.0.0.1:4318"):
        load_settings()
