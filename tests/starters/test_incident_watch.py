"""`holdfast incident watch`, beside incidents that run on a real server."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.telling import signal_with_start
from analysis.incident_watch import IncidentRow
from devstack.namespace import register_missing_attributes
from models.ids import IncidentRef
from models.incident import AlertSignal, IncidentRequest
from models.severity import Severity
from runtime.settings import Settings
from starters.incident_watch import Lines, Look, look
from starters.session import Session
from tests.analysis.incident_factories import an_alert
from tests.starters.test_incident import CommandLine
from tests.starters.test_incident import incident as incident  # noqa: PLC0414 - the fixture
from tests.starters.test_incident import unattended as unattended  # noqa: PLC0414 - what it is made of
from tests.whole.platform import environment
from tests.workers.dev_server import running_temporal
from tests.workers.eventually import eventually
from tests.workflows.guard_harness import connected

CATALOG = {
    "version": 1,
    "environment": "local",
    "services": {
        "shop": {
            "deploy": {"command": ["run", "{port}"]},
            "traffic": {"listen": "127.0.0.1:18080"},
            "rollout": {"strategy": "blue-green", "bake": "1s"},
        }
    },
}


class Watching:
    """A watch that runs, and what it printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process, self.out = process, b""

    async def read(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            assert self.process.stdout
            while chunk := await self.process.stdout.read(4096):
                self.out += chunk
            return
        loop = asyncio.get_running_loop()
        while True:
            try:
                chunk = await loop.run_in_executor(None, os.read, descriptor, 4096)
            except OSError:  # the other end of the terminal is closed
                return
            self.out += chunk

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.decode().splitlines()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async def true() -> bool:
            return condition()

        await eventually(true)

    async def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await self.process.wait()


@asynccontextmanager
async def watching(incident: CommandLine, *words: str, terminal: bool = False) -> AsyncIterator[Watching]:
    ours, theirs = pty.openpty() if terminal else (None, None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starters.main", "incident", "watch", *words,
        "--catalog", str(incident.folder / "holdfast.yaml"),
        env=environment(
            incident.folder, HOLDFAST_TEMPORAL_ADDRESS=incident.address, TZ="UTC", TERM="xterm", COLUMNS="160",
        ),
        stdout=theirs if theirs is not None else asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    if theirs is not None:
        os.close(theirs)
    seen = Watching(process)
    reading = asyncio.create_task(seen.read(ours))
    try:
        yield seen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait([reading], timeout=5)
        if ours is not None:
            os.close(ours)


async def test_each_change_is_a_line_of_json_until_what_is_watched_is_closed(incident: CommandLine) -> None:
    opened = await incident("open", "shop", "the till is stuck", "--severity", "SEV1", "--json")
    ref = opened.json["incident"]
    await incident.until_shown(ref, "level 1 is paged")
    async with watching(incident, "till", "--json") as seen:
        await seen.until(lambda: bool(seen.lines))
        assert (await incident("ack", ref)).code == 0
        await seen.until(lambda: seen.lines[-1].get("phase") == "acknowledged")
        assert (await incident("resolve", ref)).code == 0
        assert await asyncio.wait_for(seen.process.wait(), 60) == 0
        lines = seen.lines
    first = lines[0]
    assert (first["change"], first["incident"], first["severity"]) == ("opened", ref, "SEV1")
    assert (first["phase"], first["title"], first["next_level"]) == ("triggered", "the till is stuck", 1)
    assert first["next_level_at"] > first["since"]
    (acknowledged,) = [line for line in lines if line.get("phase") == "acknowledged"]
    assert acknowledged["who"] == (await incident("show", ref, "--json")).json["acknowledged_by"]
    assert lines[-1]["change"] == "closed"


@pytest.mark.full
async def test_in_a_pipe_it_tells_a_line_each_and_ends_with_ctrl_c(incident: CommandLine) -> None:
    async with watching(incident) as seen:
        await incident("open", "shop", "the till is stuck")
        await seen.until(lambda: b"the till is stuck: triggered" in seen.out)
        await incident("ack", "till")
        await seen.until(lambda: b"the till is stuck: acknowledged, by " in seen.out)
        assert await seen.interrupt() == 130


async def test_on_a_terminal_the_picture_changes(incident: CommandLine) -> None:
    async with watching(incident, terminal=True) as seen:
        await seen.until(lambda: b"Nothing is wrong." in seen.out)
        await incident("open", "shop", "the till is stuck")
        await seen.until(lambda: b"the till is stuck" in seen.out and b"\x1b[" in seen.out)
        await seen.until(lambda: b"level 1 in" in seen.out)
        assert await seen.interrupt() == 130


async def test_what_is_not_there_is_not_waited_for(incident: CommandLine) -> None:
    said = await incident("watch", "nothing")
    assert (said.code, "No open incident has 'nothing' in its name" in said.err) == (3, True)


def a_row(name: str) -> IncidentRow:
    return IncidentRow(incident=name, severity="SEV1", phase="triggered", since=datetime.now(UTC))


def a_session(folder: Path) -> Session:
    (folder / "holdfast.yaml").write_text(json.dumps(CATALOG))
    return Session(Settings(home=folder, catalog=folder / "holdfast.yaml"), None)


@pytest.mark.full
async def test_while_temporal_is_away_it_shows_what_it_saw_last_and_says_so(
    tmp_path: Path, temporal_cli: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = a_session(tmp_path)
    seen = Look({"local/shop/a": a_row("local/shop/a")})
    async with running_temporal(temporal_cli) as address:
        client = await connected(address)
        while await register_missing_attributes(client):
            pass
        assert await look(client, session, (), seen) == Look()
    away = await look(client, session, ("shop",), seen)
    assert (away.rows, "Temporal does not answer" in away.trouble) == (seen.rows, True)

    lines, now = Lines(as_json=True), datetime.now(UTC)
    for each in (seen, away, away, seen):
        lines.show(each, now)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line.get("change") for line in told] == ["opened", None, None]
    assert [line.get("trouble") for line in told] == [None, away.trouble, None]


async def test_without_workers_it_shows_what_temporal_lists_and_says_so(tmp_path: Path, temporal_cli: Path) -> None:
    session = a_session(tmp_path)
    async with running_temporal(temporal_cli) as address:
        client = await connected(address)
        while await register_missing_attributes(client):
            pass
        ref = IncidentRef(environment="local", service="shop", key="a")
        request = IncidentRequest(ref=ref, title="the till is stuck", severity=Severity.SEV1)
        await signal_with_start(client, request, [AlertSignal(alerts=(an_alert(),))])
        seen = Look()

        async def listed() -> bool:
            nonlocal seen
            seen = await look(client, session, (), Look())
            return bool(seen.rows)

        await eventually(listed)
    assert seen.rows["local/shop/a"].phase == "triggered"
    assert "holdfast worker incidents" in seen.trouble
