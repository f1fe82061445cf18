"""The trail on its way from a watch to the records: whoever dies, and whenever, each sample arrives once."""

import asyncio
import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.evidence_trail import RolloutKey, TrailSample
from records.errors import RecordsError
from records.evidence_spool import EvidenceSpool, SampleStore, _Shipment, ship
from records.store import RecordStore
from tests.postgres import Postgres
from tests.records.trails import KEY, a_sample, samples
from tests.small_disk import fill, small_disk
from tests.workers.eventually import eventually

ROOT = Path(__file__).parents[2]
SOON = timedelta(milliseconds=5)
OTHER = RolloutKey(workflow_id="rollout/local/web", run_id="run-2")


class Memory:
    """A store of samples which does with them what the table's key does, and may be told to fail."""

    def __init__(self) -> None:
        self.kept: dict[RolloutKey, dict[object, TrailSample]] = {}
        self.failing: RecordsError | None = None
        self.refused = 0

    async def opened(self) -> SampleStore:
        return self

    async def add_samples(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        await asyncio.sleep(0)
        if self.failing:
            self.refused += 1
            raise self.failing
        for sample in samples:
            self.kept.setdefault(rollout, {}).setdefault(sample.at, sample)

    def of(self, rollout: RolloutKey = KEY) -> tuple[TrailSample, ...]:
        return tuple(self.kept.get(rollout, {}).values())


@pytest.fixture
def spool(tmp_path: Path) -> EvidenceSpool:
    return EvidenceSpool(tmp_path / "evidence")


async def shipped(spool: EvidenceSpool, store: Memory) -> None:
    """Ship until nothing waits."""
    shipping = asyncio.create_task(ship(spool, store.opened, every=SOON))
    try:
        await eventually(lambda: _truth(not spool.files()))
    finally:
        shipping.cancel()


async def _truth(value: object) -> object:
    return value


def test_what_is_added_is_read_back_in_order_by_rollout(spool: EvidenceSpool) -> None:
    spool.add(KEY, [a_sample(2), a_sample(3)])
    spool.add(OTHER, [a_sample(9)])
    spool.add(KEY, [a_sample(1)])
    spool.add(KEY, [])

    assert spool.of(KEY) == samples(1, 4)
    assert spool.of(OTHER) == (a_sample(9),)


async def test_each_sample_is_shipped_once_and_its_file_removed(spool: EvidenceSpool) -> None:
    store = Memory()
    spool.add(KEY, samples(0, 1200))
    spool.add(OTHER, [a_sample(9)])
    await shipped(spool, store)

    assert store.of() == samples(0, 1200)
    assert store.of(OTHER) == (a_sample(9),)


async def test_what_is_appended_while_it_is_shipped_arrives_too(spool: EvidenceSpool) -> None:
    store = Memory()
    shipping = asyncio.create_task(ship(spool, store.opened, every=SOON))
    for number in range(200):
        spool.add(KEY, [a_sample(number)])
        await asyncio.sleep(0)
    await eventually(lambda: _truth(not spool.files()))
    shipping.cancel()

    assert store.of() == samples(0, 200)


async def test_files_of_a_worker_that_died_are_shipped_without_the_line_it_was_at(
    spool: EvidenceSpool, tmp_path: Path
) -> None:
    spool.add(KEY, samples(0, 3))
    (path,) = spool.files()
    path.write_bytes(path.read_bytes()[:-20])
    reader, store = EvidenceSpool(tmp_path / "evidence"), Memory()

    assert reader.of(KEY) == samples(0, 2)
    await shipped(reader, store)
    assert store.of() == samples(0, 2)


async def test_a_line_that_cannot_be_read_costs_that_line(spool: EvidenceSpool) -> None:
    spool.add(KEY, [a_sample(1)])
    (path,) = spool.files()
    path.write_bytes(b"\xff{}\n" + path.read_bytes() + b'{"rollout": 1}\n\n')
    store = Memory()
    await shipped(spool, store)

    assert store.of() == (a_sample(1),)


async def test_several_who_ship_the_same_folder_at_once_do_each_other_no_harm(tmp_path: Path) -> None:
    store = Memory()
    spools = [EvidenceSpool(tmp_path / "evidence") for _ in range(3)]
    tasks = [asyncio.create_task(ship(each, store.opened, every=SOON)) for each in spools]
    for number in range(300):
        spools[number % 3].add(KEY, [a_sample(number)])
        if number % 10 == 0:
            await asyncio.sleep(0.001)
    await eventually(lambda: _truth(not spools[0].files()))
    ended = [task.done() for task in tasks]
    for task in tasks:
        task.cancel()

    assert ended == [False] * 3
    assert sorted(store.of(), key=lambda sample: sample.at) == list(samples(0, 300))


async def test_dying_between_the_databases_yes_and_the_files_end_doubles_nothing(spool: EvidenceSpool) -> None:
    store = Memory()
    spool.add(KEY, samples(0, 5))
    (path,) = spool.files()
    before = path.read_bytes()
    await _Shipment(spool, store.opened).round()
    path.write_bytes(before)
    await _Shipment(spool, store.opened).round()

    assert store.of() == samples(0, 5)
    assert spool.files() == []


async def test_a_database_that_is_down_is_said_once_and_loses_nothing(
    spool: EvidenceSpool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("records.evidence_spool.LONGEST_PAUSE", SOON * 2)
    store = Memory()
    store.failing = RecordsError("The records database is away.", retryable=True)
    shipping = asyncio.create_task(ship(spool, store.opened, every=SOON))
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            spool.add(KEY, [a_sample(number)])
            await eventually(lambda number=number: _truth(store.refused > number))  # type: ignore[misc]
        store.failing = None
        await eventually(lambda: _truth(not spool.files()))
    shipping.cancel()

    assert store.of() == samples(0, 10)
    assert [record.getMessage() for record in caplog.records] == [
        "Evidence waits in its files: The records database is away."
    ]


async def test_a_file_that_the_database_refuses_keeps_no_other_back(spool: EvidenceSpool) -> None:
    class Picky(Memory):
        async def add_samples(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
            self.failing = RecordsError("not this one", retryable=True) if rollout == KEY else None
            await super().add_samples(rollout, samples)

    store = Picky()
    spool.add(KEY, [a_sample(1)])
    spool.add(OTHER, [a_sample(2)])
    shipment = _Shipment(spool, store.opened)
    for _ in range(2):
        with pytest.raises(RecordsError):
            await shipment.round()

    assert store.of(OTHER) == (a_sample(2),)
    assert spool.of(KEY) == (a_sample(1),)


async def test_beyond_its_bound_the_oldest_files_are_dropped_and_that_is_said(
    spool: EvidenceSpool, caplog: pytest.LogCaptureFixture
) -> None:
    store = Memory()
    store.failing = RecordsError("away", retryable=True)
    keys = [RolloutKey(workflow_id="rollout/local/shop", run_id=f"run-{number}") for number in range(4)]
    for number, key in enumerate(keys):
        spool.add(key, samples(0, 10))
        newest = max(spool.files(), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (number, number))
    size = spool.files()[0].stat().st_size
    shipping = asyncio.create_task(ship(spool, store.opened, every=SOON, most_bytes=2 * size))
    await eventually(lambda: _truth(len(spool.files()) == 2))
    shipping.cancel()

    assert [len(spool.of(key)) for key in keys] == [0, 0, 10, 10]
    assert f"{2 * size} of {4 * size} bytes" in caplog.text


def test_nobody_who_holds_a_file_makes_a_watch_wait(spool: EvidenceSpool) -> None:
    spool.add(KEY, [a_sample(1)])
    (path,) = spool.files()
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        spool.add(KEY, [a_sample(2)])

    assert spool.of(KEY) == samples(1, 3)


@pytest.mark.parametrize("kind", ["a file in its place", "a folder that is removed", "what JSON cannot hold"])
def test_what_cannot_be_kept_is_said_once_and_never_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    folder = tmp_path / "evidence"
    spool = EvidenceSpool(folder)
    sample = a_sample(1)
    match kind:
        case "a file in its place":
            folder.touch()
        case "a folder that is removed":
            folder.mkdir()
            folder.rmdir()
        case _:
            sample = sample.model_copy(update={"problem": "\ud800"})
    for _ in range(3):
        spool.add(KEY, [sample])

    assert caplog.text.count("pictures of rollouts will have gaps") == (0 if "removed" in kind else 1)
    assert len(spool.of(KEY)) == (3 if "removed" in kind else 0)


async def test_a_full_disk_costs_samples_and_leaves_no_half_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        spool, store = EvidenceSpool(disk / "evidence"), Memory()
        spool.add(KEY, samples(0, 3))
        filling = fill(disk)
        spool.add(KEY, samples(3, 60))
        spool.add(OTHER, samples(3, 60))
        full = spool.of(KEY)
        filling.unlink()
        spool.add(KEY, samples(60, 63))
        await shipped(spool, store)

    assert full == samples(0, 3)
    assert store.of() == samples(0, 3) + samples(60, 63)
    assert caplog.text.count("No space left on device") == 1


async def test_what_was_kept_survives_kill_9_at_any_moment_and_stands_once(url: SecretStr, tmp_path: Path) -> None:
    told = 0
    for lines in (1, 2, 9, 40, 117):
        told = _killed_after(lines, url, tmp_path / "evidence", told)
    spool = EvidenceSpool(tmp_path / "evidence")
    async with RecordStore(url, tmp_path) as store:
        await store.migrate()

        async def opened() -> SampleStore:
            return store

        shipping = asyncio.create_task(ship(spool, opened, every=SOON))
        await eventually(lambda: _truth(not spool.files()))
        shipping.cancel()
        found = await store.samples(KEY)

    # The one after the last that was told may have been kept, too.
    assert set(samples(0, told)) <= set(found)
    assert len(found) == len({sample.at for sample in found})


def _killed_after(lines: int, url: SecretStr, folder: Path, first: int) -> int:
    """Return the first number that it did not tell, as far as we have heard."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.records.shipping_process", url.get_secret_value(), folder, str(first)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    for _ in range(lines):
        assert process.stdout.readline()
    process.kill()
    rest, _ = process.communicate(timeout=20)
    return first + lines + len([line for line in rest.split("\n")[:-1] if line])


async def test_a_real_database_that_is_away_and_comes_back_gets_everything(
    postgres: Postgres, spool: EvidenceSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("records.evidence_spool.LONGEST_PAUSE", SOON * 20)
    async with RecordStore(SecretStr(postgres.url(await postgres.new_database())), tmp_path) as store:

        async def opened() -> SampleStore:
            return store

        shipping = asyncio.create_task(ship(spool, opened, every=SOON))
        spool.add(KEY, [a_sample(0)])
        await eventually(lambda: _truth(not spool.files()))
        await asyncio.to_thread(postgres.kill)
        try:
            spool.add(KEY, [a_sample(1)])
            await eventually(lambda: _truth("Evidence waits in its files" in caplog.text))
            spool.add(KEY, [a_sample(2)])
        finally:
            await asyncio.to_thread(postgres.start)
        await eventually(lambda: _truth(not spool.files()))
        shipping.cancel()

        assert await store.samples(KEY) == samples(0, 3)
