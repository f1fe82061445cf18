"""What happens to a file: held by others, taken away, made read-only, filled up, damaged."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import records.database
from models.record import ToRecord
from models.rollout import Phase
from records.errors import RecordsError
from records.store import RecordStore, write_on
from tests.factories import SHOP
from tests.records.factories import to_record
from tests.sqlite import held_by_another_process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "records.db"


@pytest.fixture
def store(path: Path) -> RecordStore:
    return RecordStore(None, path.parent)


async def test_a_write_waits_for_another_process_and_is_then_done(store: RecordStore, path: Path) -> None:
    await store.migrate()
    with held_by_another_process(path):
        writing = asyncio.create_task(store.write(to_record()))
        assert await store.rollouts(SHOP, 10) == ()  # readers do not wait for a writer
        assert not writing.done()
    await writing

    assert len(await store.rollouts(SHOP, 10)) == 1


async def test_a_lock_that_stays_is_said_and_worth_another_try(
    path: Path, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.migrate()
    monkeypatch.setattr(records.database, "PATIENCE", timedelta(milliseconds=200))
    hasty = RecordStore(None, path.parent)
    with held_by_another_process(path), pytest.raises(RecordsError, match="locked by another process") as failure:
        await hasty.write(to_record())
    await hasty.write(to_record())

    assert failure.value.retryable
    assert len(await store.rollouts(SHOP, 10)) == 1


async def test_a_file_that_was_deleted_is_made_anew_with_its_tables(store: RecordStore, path: Path) -> None:
    await store.write(to_record("run-1"))
    path.unlink()
    await store.write(to_record("run-2"))

    assert [record.run_id for record in await store.rollouts(SHOP, 10)] == ["run-2"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_a_folder_that_was_deleted_is_made_anew(store: RecordStore, path: Path) -> None:
    await store.write(to_record("run-1"))
    for each in path.parent.iterdir():
        each.unlink()
    path.parent.rmdir()
    await store.write(to_record("run-2"))

    assert len(await store.rollouts(SHOP, 10)) == 1


async def test_a_file_that_is_deleted_in_the_middle_of_a_write_is_not_taken_for_written(
    store: RecordStore, path: Path
) -> None:
    await store.migrate()
    with pytest.raises(RecordsError, match="was removed or replaced while it was written") as failure:
        async with store._database.writing():
            path.unlink()
    await store.write(to_record())

    assert failure.value.retryable
    assert len(await store.rollouts(SHOP, 10)) == 1


async def test_a_backup_put_in_its_place_is_written_on(store: RecordStore, path: Path, tmp_path: Path) -> None:
    await store.write(to_record("run-1"))
    backup = tmp_path / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    source.close()
    target.close()
    await store.write(to_record("run-2"))
    for each in path.parent.iterdir():
        each.unlink()
    backup.rename(path)
    await store.write(to_record("run-3"))

    assert {record.run_id for record in await store.rollouts(SHOP, 10)} == {"run-1", "run-3"}


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may write everything")
def test_a_file_and_a_folder_that_cannot_be_written_are_said(path: Path) -> None:
    asyncio.run(RecordStore(None, path.parent).migrate())
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for parent in path.parents:
        if parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o055)
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from records.store import RecordStore; from records.errors import RecordsError\n"
        "from tests.records.factories import to_record\n"
        "try: asyncio.run(RecordStore(None, Path(sys.argv[1])).write(to_record()))\n"
        "except RecordsError as error: print(error.retryable, error)\n"
    )
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    try:
        said = subprocess.run(
            [*as_nobody, sys.executable, "-c", code, path.parent],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    finally:
        path.parent.chmod(0o755)

    assert said.stdout.startswith("False The records database"), said.stderr
    assert "Give the records worker's user the right to" in said.stdout


async def test_a_full_disk_is_said_and_the_write_done_once_there_is_room(store: RecordStore, path: Path) -> None:
    await store.migrate()
    big = to_record()
    assert big.rollout
    big = big.model_copy(update={"rollout": big.rollout.model_copy(update={"note": "x" * 500_000})})
    with pytest.raises(RecordsError, match=r"disk is full\. Free some space") as failure:
        await _write_without_room(store, big)
    await store.write(big)

    assert failure.value.retryable
    assert len(await store.rollouts(SHOP, 10)) == 1


async def _write_without_room(store: RecordStore, entries: ToRecord) -> None:
    async with store._database.writing() as connection:
        await connection.exec_driver_sql(
            "PRAGMA max_page_count=20"
        )  # beyond it SQLite says what it says of a full disk
        await write_on(connection, entries)


async def test_what_is_no_database_is_left_alone_and_said(store: RecordStore, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("my diary\n" * 1000)
    with pytest.raises(RecordsError, match=r"is not an SQLite database\. Move it away") as failure:
        await store.write(to_record())

    assert not failure.value.retryable
    assert path.read_text().startswith("my diary")


async def test_a_commit_is_on_the_disk_and_readers_are_not_held_up(store: RecordStore) -> None:
    async with store._database.writing() as connection:
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
        synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()

    assert (mode, synchronous) == ("wal", 2)


async def test_a_process_killed_while_it_writes_leaves_whole_records(store: RecordStore, path: Path) -> None:
    await store.migrate()
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from records.store import RecordStore\n"
        "from tests.records.factories import to_record\n"
        "async def main():\n"
        "    store = RecordStore(None, Path(sys.argv[1]))\n"
        "    for number in range(100_000):\n"
        "        await store.write(to_record(f'run-{number}'))\n"
        "        print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, path.parent], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    told = [int(writer.stdout.readline()) for _ in range(20)]
    writer.kill()
    rest, _ = writer.communicate()
    told += [int(line) for line in rest.split("\n")[:-1]]
    status = await store.status()

    assert status.rollouts == status.audit
    assert len(told) <= status.rollouts <= len(told) + 1
    await store.write(to_record("after", phase=Phase.PROMOTED))
