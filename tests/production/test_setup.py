"""`holdfast setup` on the server that production runs."""

import asyncio

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.client import Client

from models.temporal_names import SearchAttribute
from tests.production.platform import Production

pytestmark = pytest.mark.slow


def test_a_namespace_is_made_once_and_its_retention_follows(production: Production) -> None:
    env = {"HOLDFAST_TEMPORAL_NAMESPACE": "set-up-here"}
    made, again, changed = (production.run("setup", *words, env=env) for words in ((), (), ("--retention", "3d")))

    assert [run.returncode for run in (made, again, changed)] == [0, 0, 0], made.stderr + again.stderr + changed.stderr
    assert "is made; what has ended is kept for 30d" in made.stdout
    assert "is there already; what has ended is kept for 30d" in again.stdout
    assert "is kept for 3d now, 30d before" in changed.stdout
    assert asyncio.run(attributes(production, "set-up-here")) >= set(SearchAttribute)


def test_an_attribute_that_is_no_keyword_is_told_and_nothing_is_waited_for(production: Production) -> None:
    env = {"HOLDFAST_TEMPORAL_NAMESPACE": "spoilt"}
    production.run("setup", env=env)
    asyncio.run(spoil(production, "spoilt", SearchAttribute.PHASE))
    run = production.run("setup", env=env)

    assert run.returncode == 3
    assert "Search attribute Phase exists in namespace 'spoilt' and is no keyword" in run.stderr


def test_a_server_that_is_not_there_is_waited_for_as_long_as_was_said(production: Production) -> None:
    run = production.run("setup", "--wait", "1s", env={"HOLDFAST_TEMPORAL_ADDRESS": "127.0.0.1:9"})

    assert run.returncode == 4
    assert "Not set up within 1s" in run.stderr
    assert "127.0.0.1:9" in run.stderr


async def attributes(production: Production, namespace: str) -> set[str]:
    client = await Client.connect(production.temporal.address, namespace=namespace)
    listed = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    return set(listed.custom_attributes)


async def spoil(production: Production, namespace: str, name: SearchAttribute) -> None:
    """Have the attribute mean a number."""
    operator = (await Client.connect(production.temporal.address, namespace=namespace)).operator_service
    number = IndexedValueType.INDEXED_VALUE_TYPE_INT
    await operator.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace=namespace, search_attributes=[name])
    )
    async with asyncio.timeout(60):
        while True:
            listed = await operator.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
            if listed.custom_attributes.get(name) == number:
                return
            if name not in listed.custom_attributes:
                await operator.add_search_attributes(
                    AddSearchAttributesRequest(namespace=namespace, search_attributes={str(name): number})
                )
            await asyncio.sleep(0.2)
