from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from models.temporal_names import SearchAttribute
from runtime.plugin import holdfast_plugin
from tests.workflows.harness import Bench


@pytest_asyncio.fixture(scope="session")
async def bench(test_server: Path) -> AsyncIterator[Bench]:
    """A server whose clock skips ahead whenever a test waits for a result."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server), plugins=[holdfast_plugin()]
    )
    async with environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes=dict.fromkeys(SearchAttribute, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
        async with Bench(environment) as bench:
            yield bench
