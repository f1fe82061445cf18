"""Records as a user meets them: the commands, with a database that is there, away, and somebody else's."""

import asyncio
import json
import sqlite3
import uuid
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.ids import ServiceRef
from models.record import ToRecord
from models.rollout import Phase
from records.store import RecordStore
from tests.postgres import Postgres
from tests.records.factories import a_record, an_entry
from tests.whole.platform import Json, Platform, Shop, until


def audit(platform: Platform, shop: Shop, *more: str) -> list[Json]:
    entries: list[Json] = json.loads(platform.order("audit", shop, "--json", *more).stdout)["entries"]
    return entries


@pytest.mark.full
def test_orders_that_are_refused_are_in_the_audit_log(platform: Platform) -> None:
    shop = platform.shop(bake="60s")
    nothing_to_pause = platform.order("pause", shop, "--note", "lunch")
    platform.deploy(shop, "v1")
    with platform.deploying(shop, "v2"):
        until(lambda: bool(platform.state(shop).get("version") == "v2"), "the rollout of v2")
        second = platform.run("deploy", shop.name, "v3", "--catalog", str(shop.catalog))
        resumed = platform.order("resume", shop)
        platform.order("abort", shop)
    until(lambda: len([each for each in audit(platform, shop) if each["outcome"] == "refused"]) == 3, "3 refusals")
    entries = [each for each in audit(platform, shop, "--since", "1h") if each["outcome"] == "refused"]
    shown = platform.order("audit", shop)

    assert {nothing_to_pause.returncode, second.returncode, resumed.returncode} == {3}
    assert [each["what"] for each in entries] == ["resume", "deploy", "pause"]
    assert (entries[1]["version"], entries[1]["why"]) == ("v3", "a rollout is under way")
    assert (entries[2]["note"], entries[2]["from_where"][:8]) == ("lunch", "command@")
    assert "it is not paused" in shown.stdout
    assert len(audit(platform, shop, "--limit", "1")) == 1
    assert platform.order("audit", shop, "--since", "soon").returncode == 2


def test_the_history_holds_what_temporal_has_forgotten_and_what_is_not_recorded(platform: Platform) -> None:
    shop = platform.shop()
    ref = ServiceRef(environment="local", service=shop.name)
    gone = str(uuid.uuid4())
    old, lost = a_record("long-ago", ref=ref, phase=Phase.ROLLED_BACK), a_record(gone, ref=ref)
    asyncio.run(record(None, platform.home, old, lost))
    platform.deploy(shop, "v1")

    def listed() -> list[Json]:
        rollouts: list[Json] = json.loads(platform.order("history", shop, "--json").stdout)["rollouts"]
        return rollouts

    until(lambda: len(listed()) == 3, "the rollout to be listed")
    until(lambda: bool(listed()[0]["ended_at"]), "its end")
    newest, *before = listed()

    assert (newest["version"], newest["phase"]) == ("v1", "promoted")
    assert {(each["run_id"], each["cut_off"]) for each in before} == {("long-ago", False), (gone, True)}
    assert "ended by force" in platform.order("history", shop).stdout


@pytest.mark.full
def test_without_the_records_the_history_says_so_and_shows_what_temporal_knows(platform: Platform) -> None:
    shop = platform.shop()
    platform.deploy(shop, "v1")
    away = {"HOLDFAST_RECORDS_URL": "postgresql://holdfast:hunter2@127.0.0.1:1/holdfast"}
    command = ("history", shop.name, "--json", "--catalog", str(shop.catalog))
    until(lambda: '"v1"' in platform.run(*command).stdout, "the rollout to be listed")
    history = platform.run(*command, env=away)
    entries = platform.run("audit", env=away)
    status = platform.run("records", "status", env=away)

    assert history.returncode == 0
    assert [each["version"] for each in json.loads(history.stdout)["rollouts"]] == ["v1"]
    assert "without the records. The records database postgresql://holdfast@127.0.0.1:1" in history.stderr
    assert entries.returncode == status.returncode == 4
    assert "cannot be reached" in entries.stderr
    assert "hunter2" not in history.stderr + entries.stderr + status.stderr


def test_without_temporal_the_history_says_so_and_shows_what_is_recorded(tmp_path: Path) -> None:
    nothing_runs = Platform(tmp_path)
    shop = nothing_runs.shop()
    ref = ServiceRef(environment="local", service=shop.name)
    asyncio.run(record(None, nothing_runs.home, a_record(ref=ref, phase=Phase.PROMOTED)))
    run = nothing_runs.run(
        "history", shop.name, "--json", "--catalog", str(shop.catalog), env={"HOLDFAST_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    )

    assert run.returncode == 0
    assert [each["version"] for each in json.loads(run.stdout)["rollouts"]] == ["v2"]
    assert "what is under way may be missing. Temporal cannot be reached" in run.stderr


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_records_are_migrated_and_described(tmp_path: Path, postgres: Postgres, kind: str) -> None:
    nothing_runs = Platform(tmp_path)
    url = f"sqlite:///{tmp_path}/my.db" if kind == "sqlite" else postgres.url(asyncio.run(postgres.new_database()))
    env = {"HOLDFAST_RECORDS_URL": url}
    first = nothing_runs.run("records", "migrate", env=env)
    second = nothing_runs.run("records", "migrate", env=env)
    asyncio.run(record(SecretStr(url), tmp_path, a_record(audit=(an_entry(),))))
    status = nothing_runs.run("records", "status", env=env)

    assert first.returncode == second.returncode == status.returncode == 0, first.stderr
    assert "was brought from nothing to revision" in first.stdout
    assert "is up to date" in second.stdout
    assert ": 1 rollouts, 1 audit entries, revision" in status.stdout
    assert "s3cret" not in first.stdout + second.stdout + status.stdout


def test_a_setting_that_cannot_be_used_is_refused_without_showing_it(tmp_path: Path) -> None:
    run = Platform(tmp_path).run("records", "status", env={"HOLDFAST_RECORDS_URL": "mysql://ada:hunter2@db/ops"})

    assert run.returncode == 2
    assert "HOLDFAST_RECORDS_URL may be" in run.stderr
    assert "hunter2" not in run.stderr


def test_the_stack_makes_the_records_in_its_home_folder(platform: Platform) -> None:
    with sqlite3.connect(platform.home / "records.db") as connection:
        until(lambda: bool(tables(connection) >= {"rollouts", "audit_log"}), "the tables")
    connection.close()


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def record(url: SecretStr | None, home: Path, *records: object) -> None:
    async with RecordStore(url, home) as store:
        for each in records:
            await store.write(ToRecord.model_validate({"rollout": each}))
