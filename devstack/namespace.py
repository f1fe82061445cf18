"""What a namespace needs before our workflows run in it, on any server: itself, and the search attributes."""

from collections.abc import Collection
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from devstack.errors import NotServingError
from models.temporal_names import SearchAttribute

_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


async def register_namespace(client: Client, retention: timedelta) -> timedelta | None:
    """Make the client's namespace, or keep the history of what has ended this long in the one that exists.

    Returns the retention it had before; None when it was made. Raises RPCError.
    """
    try:
        request = RegisterNamespaceRequest(
            namespace=client.namespace, workflow_execution_retention_period=_duration(retention)
        )
        await client.workflow_service.register_namespace(request, retry=False)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
        return await _keep_for(client, retention)
    return None


async def register_missing_attributes(client: Client) -> tuple[SearchAttribute, ...]:
    """Ask for what the namespace lacks; returns it, as the server takes a moment. Nothing is left when this is empty.

    Raises NotServingError for an attribute that exists as something else than a keyword, and RPCError.
    """
    known = await _registered(client)
    wrong = [name for name in SearchAttribute if known.get(name, _KEYWORD) != _KEYWORD]
    if wrong:
        raise NotServingError(
            f"Search attribute {', '.join(wrong)} exists in namespace {client.namespace!r} and is no keyword. "
            "Remove it with `temporal operator search-attribute remove`, or name another namespace in "
            "HOLDFAST_TEMPORAL_NAMESPACE."
        )
    missing = tuple(name for name in SearchAttribute if name not in known)
    if missing:
        await _register(client, missing)
    return missing


async def _keep_for(client: Client, retention: timedelta) -> timedelta:
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    before = described.config.workflow_execution_retention_ttl.ToTimedelta()
    if before != retention:
        config = NamespaceConfig(workflow_execution_retention_ttl=_duration(retention))
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(namespace=client.namespace, config=config)
        )
    return before


async def _registered(client: Client) -> dict[str, IndexedValueType.ValueType]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), retry=False
    )
    return dict(listed.custom_attributes)


async def _register(client: Client, names: Collection[SearchAttribute]) -> None:
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={str(name): _KEYWORD for name in names}
    )
    try:
        await client.operator_service.add_search_attributes(request, retry=False)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:  # another process was faster
            raise


def _duration(length: timedelta) -> Duration:
    made = Duration()
    made.FromTimedelta(length)
    return made
