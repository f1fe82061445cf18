import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.worker import Worker

from devstack.child import ChildSpec
from devstack.errors import NotServingError
from devstack.supervisor import Supervisor
from devstack.temporal_server import damaged_database, database_file, temporal_child, wait_until_serving
from models.temporal_names import SearchAttribute
from providers.host_ports import free_port, free_ports
from tests.devstack.conftest import Terminal, eventually
from tests.devstack.waiting_workflow import Waits

WITHIN = timedelta(seconds=60)


class Server:
    def __init__(self, home: Path, cli: Path, supervisor: Supervisor) -> None:
        self.home = home
        self.supervisor = supervisor
        port, ui_port = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self.spec = temporal_child(cli, home=home, port=port, ui_port=ui_port)

    async def start(self, spec: ChildSpec | None = None) -> None:
        serving = lambda: wait_until_serving(self.address, within=WITHIN)  # noqa: E731 - a name for one line
        await self.supervisor.start([(spec or self.spec, serving)], within=WITHIN)


@pytest.fixture
async def server(tmp_path: Path, real_cli: Path, terminal: Terminal) -> AsyncIterator[Server]:
    supervisor = Supervisor(tmp_path / "logs", terminal.voice)
    yield Server(tmp_path, real_cli, supervisor)
    await supervisor.stop()


async def registered(address: str) -> set[str]:
    client = await Client.connect(address)
    listed = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    return set(listed.custom_attributes)


async def test_a_workflow_survives_a_killed_server(server: Server) -> None:
    await server.start()
    client = await Client.connect(server.address)
    handle = await client.start_workflow(Waits.run, 2, id="w", task_queue="q")
    (temporal,) = server.supervisor.children
    killed = temporal.pid
    async with Worker(client, task_queue="q", workflows=[Waits]):
        async with asyncio.timeout(20):
            while not any(e.HasField("timer_started_event_attributes") for e in (await handle.fetch_history()).events):
                await asyncio.sleep(0.05)
        await asyncio.create_subprocess_exec("kill", "-9", str(killed))
        await eventually(lambda: temporal.pid not in (None, killed))
        await wait_until_serving(server.address, within=WITHIN)
        async with asyncio.timeout(60):
            assert await handle.result() >= 2


async def test_search_attributes_that_an_older_database_lacks_are_registered(server: Server) -> None:
    older = [part for part in server.spec.command if part not in ("--search-attribute", "Phase=Keyword")]
    older = [part if not part.endswith("=Keyword") else f"--search-attribute={part}" for part in older]
    spec = ChildSpec(name="temporal", command=tuple(older), grace=server.spec.grace)
    await server.start(spec)
    await server.supervisor.stop()
    await server.start()
    assert set(SearchAttribute) <= await registered(server.address)


async def test_a_damaged_database_is_named_with_what_to_do(server: Server) -> None:
    database_file(server.home).write_bytes(b"this was a database once. " * 1000)
    with pytest.raises(NotServingError) as raised:
        await server.start()
    explained = str(damaged_database(raised.value, server.home))
    assert f"Temporal cannot read its database {database_file(server.home)}. Move it away" in explained
    assert "file is not a database" in explained


async def test_a_server_that_is_not_there_is_said_with_its_address() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(NotServingError, match=f"Temporal at {address} did not serve namespace 'default' within 1 s"):
        await wait_until_serving(address, within=timedelta(seconds=1))
