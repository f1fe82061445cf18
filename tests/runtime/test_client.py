import asyncio
import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from models.quantities import HostPort
from runtime.client import TemporalUnreachableError, connect, connect_when_up
from runtime.settings import Settings
from tests.workers.dev_server import free_port


@pytest.fixture
def silent_server() -> Iterator[HostPort]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_says_where_why_and_what_next_when_nothing_listens() -> None:
    port = free_port()
    with pytest.raises(TemporalUnreachableError) as refused:
        await connect(Settings(temporal_port=port))
    assert str(refused.value) == (
        f"Temporal cannot be reached at 127.0.0.1:{port}: nothing listens there. "
        "Run `holdfast up` to start a local one, or set HOLDFAST_TEMPORAL_ADDRESS to the server you use."
    )


async def test_gives_up_in_time_on_a_server_that_never_answers(silent_server: HostPort) -> None:
    begun = time.monotonic()
    with pytest.raises(TemporalUnreachableError, match=r"did not answer within 0\.5s"):
        await connect(Settings(temporal_address=silent_server), timeout=timedelta(seconds=0.5))
    assert time.monotonic() - begun < 3


async def test_settings_name_the_server_before_the_local_stack_does(temporal: HostPort) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    await connect(Settings(temporal_address=temporal), address=nobody)
    with pytest.raises(TemporalUnreachableError, match=nobody):
        await connect(Settings(temporal_address=nobody), address=temporal)


async def test_the_local_stacks_record_comes_before_the_usual_port(temporal: HostPort) -> None:
    await connect(Settings(temporal_port=free_port()), address=temporal)


async def test_without_any_address_it_says_that_none_is_known() -> None:
    for attempt in (connect(Settings(temporal_port=0)), connect_when_up(Settings(temporal_port=0), asyncio.Event())):
        with pytest.raises(TemporalUnreachableError, match=r"is not known.*holdfast up"):
            await attempt


async def test_names_a_namespace_that_does_not_exist(temporal: HostPort) -> None:
    with pytest.raises(TemporalUnreachableError, match=r"no namespace 'absent'.*HOLDFAST_TEMPORAL_NAMESPACE"):
        await connect(Settings(temporal_address=temporal, temporal_namespace="absent"))


async def test_the_identity_names_host_and_process(temporal: HostPort) -> None:
    client = await connect(Settings(temporal_address=temporal))
    assert client.identity == f"holdfast@{socket.gethostname()}:{os.getpid()}"


async def test_a_worker_that_waits_for_temporal_stops_when_told_to(caplog: pytest.LogCaptureFixture) -> None:
    stopping = asyncio.Event()
    waiting = asyncio.create_task(connect_when_up(Settings(temporal_port=free_port()), stopping))
    async with asyncio.timeout(10):
        while "Waiting for Temporal" not in caplog.text:
            await asyncio.sleep(0.01)
        stopping.set()
        assert await waiting is None
