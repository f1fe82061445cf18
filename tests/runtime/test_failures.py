"""What a retried activity failed with can be read while it is retried, however deep its causes go."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from temporalio import activity, workflow
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime.client import connect
from runtime.converter import data_converter
from runtime.keyring import Key, Keyring
from runtime.settings import Settings
from tests.workers.eventually import eventually

ONE = Key("one", bytes(range(32)))
SAID = "Envoy's admin interface does not answer; start it with `holdfast up`."


def deeply(levels: int) -> None:
    """Fail with so many causes, each with a trace of its own."""
    if not levels:
        httpx.get("http://127.0.0.1:1", trust_env=False)
    try:
        deeply(levels - 1)
    except Exception as error:
        raise RuntimeError(f"level {levels} failed") from error


@activity.defn
async def call_what_is_gone() -> None:
    try:
        deeply(12)
    except RuntimeError as error:
        raise ApplicationError(SAID) from error


@workflow.defn(sandboxed=False)
class Caller:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(call_what_is_gone, start_to_close_timeout=timedelta(seconds=10))


async def _pending_failure(handle: WorkflowHandle[Caller, None]) -> Failure:
    async def failure() -> Failure | None:
        pending = (await handle.describe()).raw_description.pending_activities
        found = pending[0].last_failure if pending and pending[0].HasField("last_failure") else None
        return found if found and found.ByteSize() else None

    return await eventually(failure)


@pytest.mark.parametrize("keyring", [Keyring(), Keyring((ONE,))], ids=["plain", "encrypted"])
async def test_a_deep_failure_is_told_while_its_activity_is_retried(temporal: HostPort, keyring: Keyring) -> None:
    plain = await connect(Settings(temporal_address=temporal))
    client = Client(plain.service_client, data_converter=data_converter(keyring))
    queue = str(uuid4())
    async with Worker(client, task_queue=queue, workflows=[Caller], activities=[call_what_is_gone]):
        handle = await client.start_workflow(Caller.run, id=queue, task_queue=queue)
        try:
            error = await client.data_converter.decode_failure(await _pending_failure(handle))
        finally:
            await handle.terminate()

    assert isinstance(error, ApplicationError)
    assert error.message == SAID
    assert isinstance(error.__cause__, ApplicationError)
    assert error.__cause__.message == "level 12 failed"


async def test_the_innermost_frames_are_kept() -> None:
    failure = Failure()
    with pytest.raises(RuntimeError) as raised:
        deeply(3)
    before = raised.value.__traceback__

    await data_converter(Keyring()).encode_failure(raised.value, failure)

    assert "in deeply" in failure.stack_trace
    assert failure.cause.cause.message == "level 1 failed"
    assert raised.value.__traceback__ is before
