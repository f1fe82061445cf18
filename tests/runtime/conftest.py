import logging
from collections.abc import Iterator

import pytest
from temporalio import activity, workflow

from tests.own_settings import own_settings as own_settings  # noqa: PLC0414 - for all tests of this folder
from tests.workers.dev_server import temporal as temporal  # noqa: PLC0414 - re-exported for the tests of this folder


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
