"""`holdfast codec-server` as people run it, asked by the real `temporal` command."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from temporalio.worker import Worker

from models.quantities import HostPort
from runtime.client import connect
from runtime.keyring import new_entry
from runtime.settings import Settings
from starters.codec_server import DEFAULT_PORT
from tests.runtime.secret_work import Secret, SecretKeeper
from tests.whole.platform import HOLDFAST, ROOT, environment

KEY = new_entry(date(2026, 1, 1))


def run(home: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*HOLDFAST, "codec-server", *words],
        cwd=ROOT, env=environment(home, **settings), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[str]:
    """The command, with the key; yields its address. It has to end with exit code 0 when told to."""
    process = subprocess.Popen(
        [*HOLDFAST, "codec-server", "--port", "0"],
        cwd=ROOT, env=environment(home, HOLDFAST_ENCRYPTION_KEYS=KEY, **settings), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+);", said)
        assert found, said
        yield found[1]
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
async def workflow_id(temporal: HostPort) -> str:
    """A workflow under way whose input, memo and signal are encrypted."""
    client = await connect(Settings(temporal_address=temporal, encryption_keys=SecretStr(KEY)))
    queue = str(uuid4())
    handle = await client.start_workflow(
        SecretKeeper.run, Secret(text="hunter2"), id=queue, task_queue=queue, static_summary="hunter2 in a summary"
    )
    async with Worker(client, task_queue=queue, workflows=[SecretKeeper]):
        await handle.execute_update(SecretKeeper.end, Secret(text="hunter2"))
    return queue


def first_input(cli: Path, temporal: HostPort, workflow_id: str, *options: str) -> bytes:
    """What the `temporal` command shows that the workflow was started with, or why it shows nothing."""
    command = [str(cli), "workflow", "show", "--address", temporal, "--workflow-id", workflow_id, "--output", "json"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, timeout=30, check=False)
    if run.returncode:
        return run.stderr.encode()
    started = json.loads(run.stdout)["events"][0]["workflowExecutionStartedEventAttributes"]
    return base64.b64decode(started["input"]["payloads"][0]["data"])


async def test_the_temporal_command_shows_what_was_encrypted(
    temporal_cli: Path, temporal: HostPort, workflow_id: str, tmp_path: Path
) -> None:
    assert b"hunter2" not in first_input(temporal_cli, temporal, workflow_id)
    with serving(tmp_path) as address:
        shown = first_input(temporal_cli, temporal, workflow_id, "--codec-endpoint", address)
    assert json.loads(shown) == {"text": "hunter2", "stays": False}


async def test_the_temporal_command_shows_a_token_where_one_is_wanted(
    temporal_cli: Path, temporal: HostPort, workflow_id: str, tmp_path: Path
) -> None:
    with serving(tmp_path, HOLDFAST_CODEC_SERVER_TOKEN="open sesame") as address:
        endpoint = ("--codec-endpoint", address)
        assert b"hunter2" not in first_input(temporal_cli, temporal, workflow_id, *endpoint)  # it tries for 10 s
        auth = ("--codec-auth", "Bearer open sesame")
        assert b"hunter2" in first_input(temporal_cli, temporal, workflow_id, *endpoint, *auth)


def test_the_ui_that_settings_name_may_call(tmp_path: Path) -> None:
    with serving(tmp_path, HOLDFAST_CODEC_SERVER_UI_ORIGIN="https://temporal.example/") as address:
        allowed = {
            origin: httpx.options(
                f"{address}/decode", headers={"origin": origin, "access-control-request-method": "POST"}
            ).headers.get("access-control-allow-origin")
            for origin in ("https://temporal.example", "http://127.0.0.1:8233")
        }
    assert allowed == {"https://temporal.example": "https://temporal.example", "http://127.0.0.1:8233": None}


@pytest.mark.parametrize(
    ("words", "settings", "code", "said"),
    [
        ((), {}, 2, "There is no key to decrypt with. Set HOLDFAST_ENCRYPTION_KEYS or"),
        (("--host", "0.0.0.0"), {"KEYS": KEY}, 2, "Others could read everything at 0.0.0.0. Set HOLDFAST_CODEC"),
        (("--host", "192.0.2.1"), {"KEYS": KEY, "TOKEN": "t"}, 1, "cannot listen on 192.0.2.1:8081"),
    ],
    ids=["no key", "no token", "no such address"],
)
def test_a_server_that_cannot_be_is_refused_with_a_sentence(
    tmp_path: Path, words: tuple[str, ...], settings: Mapping[str, str], code: int, said: str
) -> None:
    names = {"KEYS": "HOLDFAST_ENCRYPTION_KEYS", "TOKEN": "HOLDFAST_CODEC_SERVER_TOKEN"}
    ended = run(tmp_path, *words, **{names[name]: value for name, value in settings.items()})
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_page_about_it_names_its_port() -> None:
    assert f"http://127.0.0.1:{DEFAULT_PORT}`" in (ROOT / "docs" / "security.md").read_text()


def test_keys_new_prints_a_key_that_is_taken(tmp_path: Path) -> None:
    made = subprocess.run([*HOLDFAST, "keys", "new"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    with pytest.raises(subprocess.TimeoutExpired):  # it serves until it is told to stop
        subprocess.run(
            [*HOLDFAST, "codec-server", "--port", "0"],
            cwd=ROOT, env=environment(tmp_path, HOLDFAST_ENCRYPTION_KEYS=made.stdout.strip()), timeout=4, check=False,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
