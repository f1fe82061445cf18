from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from models.quantities import HostPort
from models.temporal_names import ROLLOUT_WORKFLOW
from runtime.client import connect
from runtime.settings import Settings
from tests.workers.eventually import eventually
from tests.workers.sample_work import Errand, Mishap, SampleClockReader, SampleErrand, SampleMishap, mishap
from workflows.alert_rules import AlertRules
from workflows.incident import Incident
from workflows.recording import Recording
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard
from workflows.silences import Silences

_OF_A_NEWER_BUILD = {name: {"kind": "unknown here"} for name in ("ref", "rules", "incident", "silences", "state")}


async def _client(temporal: HostPort) -> Client:
    return await connect(Settings(temporal_address=temporal))


async def _task_failure(handle: WorkflowHandle[object, object]) -> str:
    async def failure() -> str | None:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                return event.workflow_task_failed_event_attributes.failure.message
        return None

    return await eventually(failure)


async def test_input_that_cannot_be_decoded_fails_a_workflow_that_asks_for_it(temporal: HostPort) -> None:
    client, queue = await _client(temporal), str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleErrand]):
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                "SampleErrand",
                {"no_such_folder": 1},
                id=queue,
                task_queue=queue,
                execution_timeout=timedelta(seconds=10),
            )
    assert isinstance(failed.value.cause, ApplicationError)
    assert "folder" in str(failed.value.cause.cause or failed.value.cause)


@pytest.mark.parametrize("kind", [Incident, Silences, AlertRules, ServiceGuard, Recording])
async def test_what_must_not_die_waits_for_a_worker_that_understands_its_input(
    temporal: HostPort, kind: type[object]
) -> None:
    client, queue = await _client(temporal), str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[kind]):
        handle = await client.start_workflow(kind.__name__, _OF_A_NEWER_BUILD, id=queue, task_queue=queue)
        assert "Failed decoding arguments" in await _task_failure(handle)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await handle.terminate()


async def test_a_rollout_that_cannot_be_read_fails(temporal: HostPort) -> None:
    client, queue = await _client(temporal), str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[Rollout]):
        with pytest.raises(WorkflowFailureError):
            await client.execute_workflow(
                ROLLOUT_WORKFLOW, {"ref": 1}, id=queue, task_queue=queue, execution_timeout=timedelta(seconds=10)
            )


async def test_a_bug_in_a_workflow_waits_for_a_fixed_worker(temporal: HostPort) -> None:
    client, queue = await _client(temporal), str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleMishap], activities=[mishap]):
        handle = await client.start_workflow(
            "SampleMishap", Mishap(where="workflow", kind="bug"), id=queue, task_queue=queue
        )
        assert "a bug among 7 letters" in await _task_failure(handle)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await handle.terminate()


async def test_the_sandbox_refuses_workflow_code_that_reads_a_file(temporal: HostPort) -> None:
    client, queue = await _client(temporal), str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[SampleClockReader]):
        handle = await client.start_workflow("SampleClockReader", id=queue, task_queue=queue)
        assert "Cannot access" in await _task_failure(handle)
        await handle.terminate()


async def test_a_runner_chosen_to_debug_is_kept(temporal: HostPort) -> None:
    client, queue = await _client(temporal), str(uuid4())
    runner = UnsandboxedWorkflowRunner()
    worker = Worker(client, task_queue=queue, workflows=[SampleErrand], workflow_runner=runner)
    assert worker.config(active_config=True).get("workflow_runner") is runner


async def test_models_travel_and_arrive_as_models(temporal: HostPort) -> None:
    client = await _client(temporal)
    (payload,) = await client.data_converter.encode([Errand(folder="here")])
    assert await client.data_converter.decode([payload], [Errand]) == [Errand(folder="here")]
