import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import httpx
import pytest

from devstack.stack import read_record
from tests.devstack.conftest import eventually
from tests.runtime.certificates import Authority
from tests.runtime.guarded_temporal import guarded
from tests.workers.dev_server import running_temporal


@pytest.fixture
def environment(tmp_path: Path, real_cli: Path) -> dict[str, str]:
    ports = {f"HOLDFAST_{name}_PORT": "0" for name in ("TEMPORAL", "UI", "ENVOY_ADMIN", "GATEWAY")}
    return {**os.environ, **ports, "HOLDFAST_HOME": str(tmp_path / "home"), "HOLDFAST_TEMPORAL_CLI": str(real_cli)}


async def start_up(environment: dict[str, str]) -> Process:
    command = (sys.executable, "-m", "starters.main", "up")
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)


async def end_of(up: Process) -> tuple[int, str]:
    async with asyncio.timeout(60):
        output, _ = await up.communicate()
    return up.returncode or 0, output.decode()


async def test_serves_until_ctrl_c_and_a_second_one_says_what_runs(environment: dict[str, str], tmp_path: Path) -> None:
    first = await start_up(environment)
    try:
        await eventually(lambda: first.returncode is not None or read_record(tmp_path / "home"), within=90)
        record = read_record(tmp_path / "home")
        code, shown = await end_of(await start_up(environment))
        assert record
        assert code == 0
        assert f"A local stack already runs here: process {first.pid}" in shown
        assert f"http://{record.ui}" in shown
    finally:
        if first.returncode is None:
            first.send_signal(signal.SIGINT)
        code, shown = await end_of(first)
    assert code == 0, shown
    assert "Holdfast is up." in shown
    assert "worker-rollouts stopped." in shown
    assert read_record(tmp_path / "home") is None


@pytest.mark.slow
async def test_where_there_is_a_catalog_the_front_door_takes_alerts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    up = await start_up({**environment, "HOLDFAST_CATALOG": "examples/shop/holdfast.yaml"})
    try:
        await eventually(lambda: up.returncode is not None or read_record(tmp_path / "home"), within=90)
        record = read_record(tmp_path / "home")
        assert record
        assert record.gateway
        async with httpx.AsyncClient(base_url=f"http://{record.gateway}", timeout=30) as http:
            answer = await http.post("/alerts", json={"title": "the disk is full", "service": "shop"})
        assert (answer.status_code, answer.json()["taken"]) == (200, 1), answer.text
    finally:
        if up.returncode is None:
            up.send_signal(signal.SIGINT)
        code, shown = await end_of(up)
    assert code == 0, shown
    assert f"Alerts        http://{record.gateway}/alerts" in shown
    assert "gateway stopped." in shown


async def test_trouble_with_a_part_is_one_sentence_and_exit_code_4(environment: dict[str, str]) -> None:
    code, shown = await end_of(await start_up({**environment, "HOLDFAST_TEMPORAL_CLI": "/no/such/program"}))
    assert code == 4
    assert "HOLDFAST_TEMPORAL_CLI is /no/such/program, which cannot be used" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HOLDFAST_TEMPORAL_API_KEY", "hunter2", "HOLDFAST_TEMPORAL_API_KEY mean a server that exists"),
        ("HOLDFAST_TEMPORAL_TLS", "on", "HOLDFAST_TEMPORAL_TLS mean a server that exists"),
        ("HOLDFAST_ENCRYPTION_KEYS", "hunter2", "Entry 1 of HOLDFAST_ENCRYPTION_KEYS does not begin with"),
    ],
)
async def test_settings_that_no_worker_could_use_end_it_before_anything_starts(
    environment: dict[str, str], tmp_path: Path, setting: str, value: str, said: str
) -> None:
    code, shown = await end_of(await start_up({**environment, setting: value}))
    assert code == 2
    assert said in shown
    assert "hunter2" not in shown
    assert not (tmp_path / "home" / "temporal.db").exists()


@pytest.mark.full
@pytest.mark.slow
async def test_a_server_behind_tls_is_used_by_the_stack_and_its_workers(
    environment: dict[str, str], tmp_path: Path, real_cli: Path
) -> None:
    ours = Authority(tmp_path, "ours")
    client = ours.sign("worker", host="worker")
    async with (
        running_temporal(real_cli) as temporal,
        guarded(temporal, ours.sign("server"), clients=ours.ca, api_key="hunter2") as address,
    ):
        secured = {
            "HOLDFAST_TEMPORAL_ADDRESS": address,
            "HOLDFAST_TEMPORAL_TLS_CA": str(ours.ca),
            "HOLDFAST_TEMPORAL_TLS_CERT": str(client.cert),
            "HOLDFAST_TEMPORAL_TLS_KEY": str(client.key),
            "HOLDFAST_TEMPORAL_API_KEY": "hunter2",
        }
        up = await start_up({**environment, **secured})
        try:
            await eventually(lambda: up.returncode is not None or read_record(tmp_path / "home"), within=90)
        finally:
            if up.returncode is None:
                up.send_signal(signal.SIGINT)
            code, shown = await end_of(up)
        assert code == 0, shown
        assert f"Temporal at {address} is used." in shown
        assert "Holdfast is up." in shown
