import logging
import os
from collections.abc import Iterator

import pytest
from temporalio import activity, workflow

from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder


@pytest.fixture(autouse=True)
def _settings_of_whoever_runs_the_tests_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("HOLDFAST_", "SENTRY_", "OTEL_")) and name not in {
            "HOLDFAST_TEMPORAL_CLI",
            "HOLDFAST_CACHE_DIR",
        }:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    workflow.logger.workflow_info_on_message = True
    workflow.logger.unsafe_disable_sandbox(value=False)
    activity.logger.activity_info_on_message = True
