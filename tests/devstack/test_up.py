import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

import pytest

from devstack.stack import read_record
from tests.devstack.conftest import eventually


@pytest.fixture
def environment(tmp_path: Path, real_cli: Path) -> dict[str, str]:
    ports = dict.fromkeys(("HOLDFAST_TEMPORAL_PORT", "HOLDFAST_UI_PORT", "HOLDFAST_ENVOY_ADMIN_PORT"), "0")
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


async def test_trouble_with_a_part_is_one_sentence_and_exit_code_4(environment: dict[str, str]) -> None:
    code, shown = await end_of(await start_up({**environment, "HOLDFAST_TEMPORAL_CLI": "/no/such/program"}))
    assert code == 4
    assert "HOLDFAST_TEMPORAL_CLI is /no/such/program, which cannot be used" in shown
    assert "Traceback" not in shown
