"""Audit entries reach the records, whoever dies and however long the records are away."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from models.audit import AuditEntry
from models.ids import ServiceRef
from models.record import ToRecord
from records.audit_spool import AuditSpool, ship_audit, ship_what_is_left
from records.errors import RecordsError
from records.roles import Recorder
from records.store import RecordStore
from tests.factories import WHEN
from tests.small_disk import fill, small_disk

QUICKLY = timedelta(milliseconds=20)


def an_entry(key: str = "1") -> AuditEntry:
    ref = ServiceRef(environment="local", service="gateway")
    return AuditEntry(key=key, at=WHEN, who="prometheus", what="POST /alerts", ref=ref)


async def shipped(spool: AuditSpool, store: Recorder, *, within: float = 5, until: int = 1) -> None:
    """Ship until so many files are gone, or for a time."""

    async def opened() -> Recorder:
        return store

    task = asyncio.create_task(ship_audit(spool, opened, QUICKLY))
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while spool.files():
                await asyncio.sleep(0.01)
    task.cancel()


async def test_entries_are_brought_to_the_records_and_their_files_are_gone(tmp_path: Path) -> None:
    spool = AuditSpool(tmp_path / "audit")
    async with RecordStore(None, tmp_path) as store:
        for number in range(450):
            spool.add(an_entry(str(number)))
        await shipped(spool, store)
        assert len(await store.audit(None, 1_000)) == 450
        spool.add(an_entry("after"))
        await shipped(spool, store)
        assert len(await store.audit(None, 1_000)) == 451
    assert spool.files() == []


async def test_entries_wait_while_the_records_are_away(tmp_path: Path) -> None:
    class Away:
        async def write(self, entries: ToRecord) -> None:
            raise RecordsError("the records are away", retryable=True)

    spool = AuditSpool(tmp_path / "audit")
    spool.add(an_entry())
    await shipped(spool, Away(), within=0.3)
    assert spool.files()
    async with RecordStore(None, tmp_path) as store:
        await shipped(spool, store)
        assert [entry.key for entry in await store.audit(None, 10)] == ["1"]


def _die_after_adding(folder: Path) -> None:
    spool = AuditSpool(folder)
    for number in range(10):
        spool.add(an_entry(f"dead-{number}"))
    os.kill(os.getpid(), signal.SIGKILL)


async def test_what_a_killed_process_kept_is_shipped_by_the_next(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_after_adding, args=(tmp_path / "audit",))
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    (left,) = (tmp_path / "audit").glob("*.jsonl")
    with left.open("ab") as file:
        file.write(b'{"key": "half')  # as if it had died in the middle of a line
    async with RecordStore(None, tmp_path) as store:
        await shipped(AuditSpool(tmp_path / "audit"), store)
        assert len(await store.audit(None, 100)) == 10
    (aside,) = (tmp_path / "audit").iterdir()
    assert aside.name == f"{left.stem}.unreadable"
    assert aside.read_bytes() == b'{"key": "half\n', "what cannot be read is for people to look at"


async def test_a_full_disk_costs_the_entries_that_do_not_fit_and_says_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = an_entry("long").model_copy(update={"note": "x" * 10_000})
    with small_disk(tmp_path / "disk", "256k") as disk:
        spool = AuditSpool(disk / "audit")
        spool.add(an_entry("before"))
        filling = fill(disk)
        spool.add(long)
        filling.unlink()
        spool.add(an_entry("after"))
        async with RecordStore(None, tmp_path) as store:
            await shipped(spool, store)
            assert {entry.key for entry in await store.audit(None, 100)} == {"before", "after"}
        assert list((disk / "audit").iterdir()) == []
    assert caplog.text.count("No space left on device") == 1
    assert long.model_dump_json() in caplog.text


async def test_a_file_that_the_database_refuses_keeps_no_other_back(tmp_path: Path) -> None:
    class Picky:
        def __init__(self) -> None:
            self.kept: list[str] = []

        async def write(self, entries: ToRecord) -> None:
            keys = [entry.key for entry in entries.audit]
            if "bad" in keys:
                raise RecordsError("not this one", retryable=False)
            self.kept += keys

    spool, store = AuditSpool(tmp_path / "audit"), Picky()
    for key in ("bad", "good", "better"):
        spool.add(an_entry(key))
        spool.turn()
    await shipped(spool, store, within=0.5)

    assert store.kept == ["good", "better"]
    assert len(spool.files()) == 1


async def test_the_file_of_a_living_process_is_left_to_it(tmp_path: Path) -> None:
    living, other = AuditSpool(tmp_path / "audit"), AuditSpool(tmp_path / "audit")
    living.add(an_entry())
    async with RecordStore(None, tmp_path) as store:
        await shipped(other, store, within=0.2)
        assert len(living.files()) == 1

        async def opened() -> Recorder:
            return store

        await ship_what_is_left(living, opened)
        assert [entry.key for entry in await store.audit(None, 10)] == ["1"]


def test_what_cannot_be_kept_never_raises(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    AuditSpool(tmp_path / "audit").add(an_entry())
