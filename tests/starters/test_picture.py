"""`holdfast picture` without a platform: from the records, and from what this host has not shipped yet."""

import asyncio
import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.ids import ServiceRef
from models.record import RolloutRecord, ToRecord
from models.rollout import Phase
from records.evidence_spool import EvidenceSpool
from records.store import RecordStore
from starters import picture as command
from starters.exits import CommandError, Exit
from starters.main import app
from starters.picture import draw_and_name
from starters.picture_source import source_of
from starters.session import Session
from tests.factories import SHOP, WHEN
from tests.records.factories import a_record
from tests.records.trails import KEY, samples

SHOP_AS_WRITTEN = {
    "deploy": {"command": ["run", "{port}"]},
    "traffic": {"listen": "127.0.0.1:18080"},
    "rollout": {"steps": [{"weight": "50%", "bake": "1s"}]},
}


@pytest.fixture
def home(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "holdfast.yaml").write_text(json.dumps({"version": 1, "services": {"shop": SHOP_AS_WRITTEN}}))
    return home


def recorded(home: Path, *records: RolloutRecord) -> None:
    async def write() -> None:
        async with RecordStore(None, home) as store:
            for record in records:
                await store.write(ToRecord(rollout=record))
            await store.add_samples(KEY, samples(0, 20))

    asyncio.run(write())


def ended(run_id: str = "run-1", *, hours: int = 0, ref: ServiceRef = SHOP) -> RolloutRecord:
    return a_record(run_id, phase=Phase.ROLLED_BACK, started_at=WHEN + timedelta(hours=hours), ref=ref)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["picture", "shop", *words])


def test_the_newest_rollout_is_drawn_and_its_pictures_are_named(home: Path) -> None:
    recorded(home, ended(), ended("0a1b2c3d-4e5f", hours=1))
    result = run()
    folder = home / "pictures"

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"{folder}/shop-v2-0a1b2c3d.svg", f"{folder}/shop-v2-0a1b2c3d.png"]
    assert (folder / "shop-v2-0a1b2c3d.svg").read_bytes().startswith(b"<?xml")
    assert (folder / "shop-v2-0a1b2c3d.png").read_bytes().startswith(b"\x89PNG")
    assert "No samples of its metrics were kept" in result.stderr


def test_one_rollout_in_one_form_elsewhere_with_what_is_not_shipped_yet(home: Path, tmp_path: Path) -> None:
    recorded(home, ended(), ended("run-2", hours=1))
    EvidenceSpool(home / "evidence").add(KEY, samples(15, 30))
    result = run("--run-id", "run-1", "--out", str(tmp_path / "here"), "--format", "png", "--json")

    assert json.loads(result.stdout) == {
        "run_id": "run-1", "version": "v2", "phase": "rolled_back", "samples": 30,
        "pictures": [f"{tmp_path}/here/shop-v2-run-1.png"],
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["shop-v2-run-1.png"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--run-id", "nope"), Exit.BAD_INPUT, "has the run id nope; `holdfast history shop --json` lists them"),
        (("--run-id", "run"), Exit.BAD_INPUT, "2 rollouts of shop have run ids that begin run"),
        (("--out", "/dev/null/pictures"), Exit.BAD_INPUT, "/dev/null/pictures cannot be written: Not a directory"),
    ],
)
def test_mistakes_are_said(home: Path, words: tuple[str, ...], code: Exit, said: str) -> None:
    recorded(home, ended(), ended("run-2"))
    error = run(*words).exception

    assert isinstance(error, CommandError)
    assert (error.code, said in str(error)) == (code, True), str(error)


def test_without_any_rollout_it_is_said_how_to_begin_one(home: Path) -> None:
    recorded(home, ended("elsewhere", ref=ServiceRef(environment="local", service="web")))
    error = run().exception

    assert isinstance(error, CommandError)
    assert error.code is Exit.REFUSED
    assert "`holdfast deploy shop VERSION` begins one" in str(error)


def test_without_records_and_temporal_the_command_says_that_both_are_away(home: Path) -> None:
    error = run().exception

    assert isinstance(error, CommandError)
    assert error.code is Exit.UNREACHABLE


async def test_at_the_end_of_a_rollout_the_pictures_are_drawn_and_named(home: Path) -> None:
    await asyncio.to_thread(recorded, home, ended())
    paths = await draw_and_name(Session.open(), SHOP, "run-1")

    assert [path.name for path in paths] == ["shop-v2-run-1.svg", "shop-v2-run-1.png"]
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize("trouble", ["nothing known", "a folder that is a file", "a bug", "slowness"])
async def test_at_the_end_of_a_rollout_no_trouble_with_its_picture_fails_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], trouble: str
) -> None:
    if trouble != "nothing known":
        await asyncio.to_thread(recorded, home, ended())
    match trouble:
        case "a folder that is a file":
            (home / "pictures").touch()
        case "a bug":
            monkeypatch.setattr(command, "_drawn", lambda *_: 1 / 0)
        case "slowness":
            monkeypatch.setattr(command, "PATIENCE", timedelta(0))
        case _:
            pass

    assert await draw_and_name(Session.open(), SHOP, "run-1") == []
    said = capsys.readouterr().err
    assert said.startswith("No picture was drawn: ")
    assert said.endswith(". `holdfast picture shop` tries again.\n")


async def test_records_that_are_damaged_leave_what_this_host_knows(home: Path) -> None:
    await asyncio.to_thread(recorded, home, ended())
    with sqlite3.connect(home / "records.db") as connection:
        connection.execute("DROP TABLE evidence_samples")
    connection.close()
    EvidenceSpool(home / "evidence").add(KEY, samples(0, 4))
    source = await source_of(Session.open(), SHOP, "run-1")

    assert source.samples == samples(0, 4)
    assert source.record.phase is Phase.ROLLED_BACK
    assert source.trouble
    assert source.trouble.startswith("The picture may be incomplete.")
