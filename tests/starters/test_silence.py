"""`holdfast silence`, against silences that a real server keeps."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from models.quantities import HostPort
from models.temporal_names import TaskQueue
from tests.starters.command_line import Said, said_by
from tests.workers.dev_server import free_port, running_temporal
from tests.workflows.guard_harness import connected
from tests.workflows.silences_harness import Quiet
from workflows.silences import Silences


@pytest_asyncio.fixture(scope="session")
async def server(temporal_cli: Path) -> AsyncIterator[Client]:
    async with running_temporal(temporal_cli) as address:
        client = await connected(address)
        async with Worker(client, task_queue=TaskQueue.INCIDENTS, workflows=[Silences]):
            yield client


@dataclass(frozen=True)
class CommandLine:
    """`holdfast silence` in an environment of its own, with a maintenance window in its catalog."""

    folder: Path
    address: HostPort
    quiet: Quiet

    async def __call__(self, *words: str) -> Said:
        return await said_by(self.folder, self.address, "silence", *words)

    async def added(self, *words: str) -> Any:
        said = await self("add", *words, "--json")
        assert said.code == 0, said.err
        return said.json


def command_line(folder: Path, client: Client, address: HostPort) -> CommandLine:
    quiet = Quiet(client)
    service = {
        "deploy": {"command": ["run", "{port}"]},
        "traffic": {"listen": "127.0.0.1:18080"},
        "rollout": {"strategy": "blue-green", "bake": "1m"},
    }
    window = {"name": "nightly-backup", "match": "service=database", "every": "mon 02:00 – mon 03:00"}
    catalog = {
        "version": 1,
        "environment": quiet.environment,
        "services": {"shop": service},
        "incidents": {"silences": [window]},
    }
    (folder / "holdfast.yaml").write_text(json.dumps(catalog))
    return CommandLine(folder, address, quiet)


@pytest.fixture
def silence(tmp_path: Path, server: Client) -> CommandLine:
    return command_line(tmp_path, server, server.service_client.config.target_host)


async def test_a_silence_from_its_beginning_to_its_end(silence: CommandLine) -> None:
    said = await silence("add", 'alertname="DiskFull"', "env=~prod|stage", "--for", "2h", "--by", "ada", "-m", "a move")
    assert said.code == 0, said.err
    (kept,) = await silence.quiet.read()
    assert said.out.startswith(f'{kept.id}: alertname="DiskFull", env=~prod|stage is silent, until ')
    assert (kept.by, kept.spec.comment, kept.from_where[:8]) == ("ada", "a move", "command@")

    listed = await silence("list")
    assert "nightly-backup" in listed.out
    assert kept.id in listed.out
    shown = await silence("show", kept.id[:6])
    for told in (kept.id, "active", "a move", "ada", "by hand"):
        assert told in shown.out
    ended = await silence("expire", kept.id[:6], "--by", "bob")
    assert (ended.code, ended.out) == (0, f"{kept.id}: ended.\n")
    assert [each["id"] for each in (await silence("list", "--json")).json["silences"]] == ["nightly-backup"]
    (_, past) = (await silence("list", "--all", "--json")).json["silences"]
    assert (past["id"], past["standing"], past["expired_by"]) == (kept.id, "ended", "bob")


async def test_every_way_to_say_when(silence: CommandLine) -> None:
    braces = await silence.added("{service=shop, team=a}", "--until", "2089-05-01 08:00")
    assert (braces["match"], braces["ends"]) == (["service=shop", "team=a"], "2089-05-01T08:00:00Z")
    later = await silence.added("service=shop", "--from", "2089-05-01 08:00", "--for", "1h")
    assert (later["standing"], later["ends"]) == ("pending", "2089-05-01T09:00:00Z")
    weekly = await silence.added("service=shop", "--every", "mon 02:00 – mon 03:00", "--zone", "Europe/Berlin")
    assert (weekly["every"], weekly["zone"]) == ("mon 02:00 – mon 03:00", "Europe/Berlin")
    ids = [each.id for each in await silence.quiet.read()]
    assert (await silence("expire", *ids)).code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("add", "service=shop"), 2, "one of for, until and every"),
        (("add", "what", "--for", "2h"), 2, "'what' is not a matcher like team=shop"),
        (("add", "service=~(", "--for", "2h"), 2, "no regular expression"),
        (("add", "service=shop", "--for", "2"), 2, "--for: '2' is not a duration"),
        (("add", "service=shop", "--until", "tomorrow"), 2, "--until: 'tomorrow' is not a date and time"),
        (("add", "service=shop", "--until", "2021-01-01 00:00"), 2, "before it begins"),
        (("add", "service=shop", "--every", "mondays"), 2, "weekly span"),
        (("show", "s-9"), 3, "There is no silence s-9; `holdfast silence list`"),
        (("expire", "s-9"), 3, "There is no silence s-9"),
        (("expire", "nightly"), 3, "stands in the catalog"),
    ],
)
async def test_what_cannot_be_is_said_with_what_to_do(
    silence: CommandLine, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = await silence(*words)
    assert (said.code, sentence in said.err) == (code, True), said


async def test_without_temporal_it_is_said_where_it_was_sought(tmp_path: Path, server: Client) -> None:
    silence = command_line(tmp_path, server, f"127.0.0.1:{free_port()}")
    for words in (("add", "a=b", "--for", "1h"), ("list",)):
        said = await silence(*words)
        assert said.code == 4
        assert "Temporal cannot be reached" in said.err


@pytest.mark.full
async def test_without_workers_it_is_said_what_to_start_and_lists_go_on(tmp_path: Path, temporal_cli: Path) -> None:
    async with running_temporal(temporal_cli) as address:
        silence = command_line(tmp_path, await connected(address), address)
        said = await silence("add", "a=b", "--for", "1h")
        listed = await silence("list")
    assert (said.code, listed.code) == (4, 0)
    assert "holdfast worker incidents" in said.err
