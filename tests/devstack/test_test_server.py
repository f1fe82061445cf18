import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from devstack.errors import ObtainError
from devstack.test_server import find_test_server
from tests.devstack.waiting_workflow import Waits
from tests.factories import SERVER_STARTS_WITHIN

THIRTY_DAYS = timedelta(days=30).total_seconds()


@pytest.mark.skipif(not shutil.which("java") or not shutil.which("mvn"), reason="needs java and mvn")
async def test_thirty_days_pass_in_seconds_on_the_server_that_is_obtained() -> None:
    server = await find_test_server(cache_dir=None, say=print)
    async with (
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(server), test_server_startup_timeout=SERVER_STARTS_WITHIN
        ) as environment,
        Worker(environment.client, task_queue="q", workflows=[Waits]),
    ):
        slept = await environment.client.execute_workflow(Waits.run, THIRTY_DAYS, id="w", task_queue="q")
    assert slept >= THIRTY_DAYS


async def test_the_error_lists_everything_that_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ObtainError) as raised:
        await find_test_server(cache_dir=tmp_path / "cache", say=print)
    text = str(raised.value)
    for tried in ("the cache in", "download by the Temporal SDK: Failed", "Maven Central", "`java` is not installed"):
        assert tried in text
