"""What a worker's `/metrics` page says about our own work, as our rules and panels rely on it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.telling import signal_with_start
from devstack.namespace import register_missing_attributes
from models.ids import IncidentRef, incident_id
from models.incident import AlertSignal, IncidentRequest, IncidentRules, Order
from models.quantities import HostPort
from models.severity import Severity
from models.temporal_names import IncidentSignal, TaskQueue
from runtime.client import connect
from runtime.settings import Settings
from runtime.telemetry import temporal_runtime
from tests.analysis.incident_factories import a_level, an_alert
from tests.exposition import Sample, scrape, total
from tests.workers.counted_work import SampleAfter, SampleBefore, SampleBug, SampleRollout, look, refuse
from tests.workers.dev_server import free_port, running_temporal
from tests.workers.eventually import eventually
from tests.workflows.fake_pager import FakePager
from workers.census import keep_incident_census
from workflows.incident import Incident
from workflows.metrics import begin_at_zero, incidents_begin_at_zero
from workflows.recording import Recording

_KINDS = 2 * len(Severity)
"""Of open incidents: triggered or acknowledged."""


class Metered:
    """A client whose workers count at an address of their own."""

    def __init__(self, client: Client, address: HostPort) -> None:
        self.client = client
        self._address = address

    async def samples(self) -> list[Sample]:
        return await asyncio.to_thread(scrape, self._address)


@pytest.fixture
async def metered(temporal: HostPort) -> Metered:
    address = f"127.0.0.1:{free_port()}"
    return Metered(await connect(Settings(temporal_address=temporal), runtime=temporal_runtime(address)), address)


async def task_failed(handle: WorkflowHandle[object, object]) -> None:
    async def look_for_it() -> bool:
        failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return any([event.event_type == failed async for event in handle.fetch_history_events()])

    await eventually(look_for_it)


async def test_each_thing_is_counted_once_although_every_step_is_replayed(metered: Metered) -> None:
    queue = str(uuid4())
    async with Worker(
        metered.client, task_queue=queue, workflows=[SampleRollout], activities=[look, refuse], max_cached_workflows=0
    ):
        with pytest.raises(WorkflowFailureError):
            await metered.client.execute_workflow("SampleRollout", id=queue, task_queue=queue)
    samples = await metered.samples()

    assert total(samples, "holdfast_rollouts_ended_total", outcome="rolled_back", strategy="canary") == 1
    assert total(samples, "holdfast_rollout_duration_seconds_sum", outcome="rolled_back", strategy="canary") == 180
    assert total(samples, "holdfast_rollout_duration_seconds_bucket", le="120") == 0
    assert total(samples, "holdfast_rollout_duration_seconds_bucket", le="300") == 1
    assert total(samples, "holdfast_rollback_duration_seconds_sum", strategy="canary") == 3
    assert total(samples, "holdfast_refusals_total", workflow_type="SampleRollout") == 1


async def test_how_rollouts_may_end_is_shown_before_one_did(metered: Metered) -> None:
    begin_at_zero(metered.client.service_client.config.runtime.metric_meter, "default")  # type: ignore[union-attr]
    samples = await metered.samples()
    ended = [sample for sample in samples if sample.name == "holdfast_rollouts_ended_total"]

    assert {sample.labels["outcome"] for sample in ended} == {"promoted", "rolled_back", "failed", "unchanged"}
    assert {"canary", "blue-green"} <= {sample.labels["strategy"] for sample in ended}
    assert total(samples, "holdfast_refusals_total", workflow_type="Rollout", task_queue="rollouts") == 0


async def test_an_incident_is_counted_once_from_its_opening_to_its_end(metered: Metered) -> None:
    while await register_missing_attributes(metered.client):
        pass
    incidents_begin_at_zero(metered.client.service_client.config.runtime.metric_meter, "default")  # type: ignore[union-attr]
    queue, pager = str(uuid4()), FakePager()
    pager.refusing = {"second"}
    levels = (a_level("first", "second"),)
    request = IncidentRequest(
        ref=IncidentRef(environment="local", service="shop", key=queue),
        title="error rate is high",
        severity=Severity.SEV2,
        rules=IncidentRules(levels=levels, reopen_within=timedelta(milliseconds=1)),
        opened_by="ada",
    )
    before = await metered.samples()
    async with (
        Worker(metered.client, task_queue=queue, workflows=[Incident], max_cached_workflows=0),
        Worker(metered.client, task_queue=TaskQueue.NOTIFICATIONS, activities=[pager.notify]),
        Worker(metered.client, task_queue=TaskQueue.RECORDS, workflows=[Recording], activities=[pager.write]),
    ):
        handle = await metered.client.start_workflow(
            Incident.run, request, id=incident_id(request.ref), task_queue=queue
        )

        async def paged() -> bool:
            state = await handle.query(Incident.state)
            return any("could not be told" in entry.text for entry in state.timeline) and bool(pager.got)

        await eventually(paged)
        for order in (IncidentSignal.ACKNOWLEDGE, IncidentSignal.RESOLVE):
            await handle.signal(order, Order(by="ada"))
        await handle.result()
    samples = await metered.samples()

    assert {each.labels["severity"] for each in before if each.name == "holdfast_incidents_opened_total"} == set(
        Severity
    )
    assert total(before, "holdfast_notifications_total") == 0
    assert total(samples, "holdfast_incidents_opened_total", severity="SEV2", task_queue=queue) == 1
    for name in ("acknowledge", "resolve"):
        assert total(samples, f"holdfast_incident_{name}_duration_seconds_count", severity="SEV2") == 1
    pages = {"kind": "page", "target": "console", "task_queue": queue}
    assert total(samples, "holdfast_notifications_total", result="sent", **pages) == 1
    assert total(samples, "holdfast_notifications_total", result="failed", **pages) == 1


async def test_open_incidents_are_counted_by_how_grave_they_are(metered: Metered) -> None:
    while await register_missing_attributes(metered.client):
        pass
    ref = IncidentRef(environment="local", service="shop", key=str(uuid4()))
    request = IncidentRequest(ref=ref, title="the till is stuck", severity=Severity.SEV1)
    await signal_with_start(metered.client, request, [AlertSignal(alerts=(an_alert(),))])
    meter = metered.client.service_client.config.runtime.metric_meter  # type: ignore[union-attr]
    counting = asyncio.create_task(keep_incident_census(metered.client, meter, timedelta(milliseconds=200)))

    async def counted() -> bool:
        found = [each for each in await metered.samples() if each.name == "holdfast_incidents_open"]
        return any(each.value == 1 and each.labels["severity"] == "SEV1" for each in found) and len(found) == _KINDS

    await eventually(counted)
    counting.cancel()
    assert total(await metered.samples(), "holdfast_incidents_open", severity="SEV1", phase="acknowledged") == 0
    await metered.client.get_workflow_handle(incident_id(ref)).terminate()


async def test_provider_errors_and_missed_readings_are_counted_with_their_provider(metered: Metered) -> None:
    queue = str(uuid4())
    async with Worker(metered.client, task_queue=queue, workflows=[SampleRollout], activities=[look, refuse]):
        with pytest.raises(WorkflowFailureError):
            await metered.client.execute_workflow("SampleRollout", id=queue, task_queue=queue)
    samples = await metered.samples()
    refused = {"provider": "process", "error": "NotReadyError", "retryable": "false", "activity_type": "sample.refuse"}

    assert total(samples, "holdfast_provider_errors_total", **refused) == 1
    assert total(samples, "holdfast_watch_readings_total", provider="envoy", result="read") == 2
    assert total(samples, "holdfast_watch_readings_total", provider="envoy", result="missed") == 1
    assert total(samples, "temporal_activity_execution_failed_total", activity_type="sample.refuse") == 1


async def test_changed_workflow_code_is_told_from_a_bug(metered: Metered) -> None:
    queue, client = str(uuid4()), metered.client
    async with Worker(client, task_queue=queue, workflows=[SampleBefore]):
        changed = await client.start_workflow("SampleChange", id=f"change/{queue}", task_queue=queue)

        async def it_sleeps() -> bool:
            return len([event async for event in changed.fetch_history_events()]) > 4

        await eventually(it_sleeps)
    async with Worker(client, task_queue=queue, workflows=[SampleAfter, SampleBug], max_cached_workflows=0):
        bug = await client.start_workflow("SampleBug", id=f"bug/{queue}", task_queue=queue)
        await task_failed(bug)
        await changed.signal("wake")
        await task_failed(changed)
    samples = await metered.samples()

    failed = "temporal_workflow_task_execution_failed_total"
    assert total(samples, failed, failure_reason="NonDeterminismError", workflow_type="SampleChange") >= 1
    assert total(samples, failed, failure_reason="WorkflowError", workflow_type="SampleBug") >= 1
    for handle in (changed, bug):
        await handle.terminate()


async def test_a_server_that_is_away_shows_in_the_failed_requests(temporal_cli: Path) -> None:
    address, queue = f"127.0.0.1:{free_port()}", str(uuid4())
    async with AsyncExitStack() as server:
        temporal = await server.enter_async_context(running_temporal(temporal_cli))
        client = await connect(Settings(temporal_address=temporal), runtime=temporal_runtime(address))
        async with Worker(client, task_queue=queue, activities=[look]):

            async def asks_for_work() -> bool:
                samples = await asyncio.to_thread(scrape, address)
                return any(sample.name == "temporal_num_pollers" and sample.value for sample in samples)

            await eventually(asks_for_work)
            await server.aclose()
            with pytest.raises(RPCError):
                await client.count_workflows(rpc_timeout=timedelta(seconds=1))

            async def failures() -> float | None:
                samples = await asyncio.to_thread(scrape, address)
                failed = [sample for sample in samples if sample.name == "temporal_long_request_failure_total"]
                return sum(sample.value for sample in failed if sample.labels["operation"] == "PollActivityTaskQueue")

            assert await eventually(failures)
            samples = await asyncio.to_thread(scrape, address)
    failed = total(samples, "temporal_long_request_failure_total", operation="PollActivityTaskQueue")

    assert failed <= total(samples, "temporal_long_request_total", operation="PollActivityTaskQueue")
    assert total(samples, "temporal_request_failure_total") > 0
