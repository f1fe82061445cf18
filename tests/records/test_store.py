"""The same on SQLite and on PostgreSQL."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.ids import ServiceRef
from models.record import ToRecord
from models.rollout import Phase
from records.errors import RecordsError
from records.store import RecordStore
from records.tables import METADATA
from tests.factories import SHOP, WHEN
from tests.records.factories import a_record, an_entry, to_record
from tests.records.trails import KEY, a_sample, samples

OTHER = ServiceRef(environment="local", service="web")


async def test_a_rollout_is_read_as_it_was_written(store: RecordStore) -> None:
    record = a_record(phase=Phase.ROLLED_BACK)
    await store.write(ToRecord(rollout=record))

    assert await store.rollouts(SHOP, 10) == (record,)


async def test_writing_again_changes_nothing(store: RecordStore) -> None:
    for _ in range(3):
        await store.write(to_record(revision=2))

    status = await store.status()
    assert (status.rollouts, status.audit) == (1, 1)


async def test_a_later_picture_wins_and_an_earlier_one_that_comes_late_does_not(store: RecordStore) -> None:
    await store.write(to_record(revision=2))
    await store.write(to_record(revision=3, phase=Phase.PROMOTED))
    await store.write(to_record(revision=1))
    (record,) = await store.rollouts(SHOP, 10)

    assert (record.revision, record.phase) == (3, Phase.PROMOTED)


async def test_pictures_that_arrive_at_once_in_any_order_leave_the_newest(store: RecordStore) -> None:
    await store.migrate()
    await asyncio.gather(*(store.write(to_record(revision=revision)) for revision in (3, 8, 1, 7, 2, 6, 4, 5)))
    (record,) = await store.rollouts(SHOP, 10)

    assert record.revision == 8
    assert (await store.status()).audit == 1


async def test_an_audit_entry_stays_as_it_was_first_written(store: RecordStore) -> None:
    first = an_entry()
    await store.write(ToRecord(audit=(first,)))
    await store.write(ToRecord(audit=(first.model_copy(update={"who": "mallory"}), an_entry("run-1/1"))))

    assert [(entry.key, entry.who) for entry in await store.audit(SHOP, 10)] == [
        ("run-1/1", "ada@laptop"),
        ("run-1/0", "ada@laptop"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET who = 'mallory'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE key = 'run-1/0'",
    ],
)
async def test_the_database_itself_refuses_to_change_the_audit_log(store: RecordStore, statement: str) -> None:
    await store.write(ToRecord(audit=(an_entry(),)))
    with pytest.raises(DBAPIError, match="append-only"):
        async with store._database._writer.begin() as connection:
            await connection.execute(text(statement))

    assert await store.audit(None, 10) == (an_entry(),)


async def test_other_ways_to_lose_entries_are_closed_too(store: RecordStore) -> None:
    await store.write(ToRecord(audit=(an_entry(),)))
    async with store._database._writer.connect() as connection:
        if connection.dialect.name == "sqlite":
            await connection.execute(
                text(
                    "INSERT OR REPLACE INTO audit_log "
                    "(key, at, who, what, environment, service, from_where, outcome, why, note) "
                    "VALUES ('run-1/0', '2026-01-01 00:00:00.000000', 'mallory', '', '', '', '', '', '', '')"
                )
            )
            await connection.commit()
        else:
            with pytest.raises(DBAPIError, match="append-only"):
                await connection.execute(text("TRUNCATE audit_log"))

    assert await store.audit(None, 10) == (an_entry(),)


async def test_everything_is_written_or_nothing(store: RecordStore) -> None:
    await store.migrate()
    broken = an_entry("run-1/1").model_copy(update={"who": None})
    with pytest.raises(RecordsError):
        await store.write(ToRecord(rollout=a_record(audit=(an_entry(),)), audit=(broken,)))

    status = await store.status()
    assert (status.rollouts, status.audit) == (0, 0)


async def test_rollouts_are_of_one_service_the_newest_first_and_limited(store: RecordStore) -> None:
    for number in range(4):
        record = a_record(f"run-{number}", started_at=WHEN + timedelta(hours=number))
        await store.write(ToRecord(rollout=record))
    await store.write(ToRecord(rollout=a_record("elsewhere", ref=OTHER)))

    assert [record.run_id for record in await store.rollouts(SHOP, 3)] == ["run-3", "run-2", "run-1"]
    assert [record.run_id for record in await store.rollouts(OTHER, 3)] == ["elsewhere"]


async def test_the_audit_log_is_read_by_service_by_time_and_limited(store: RecordStore) -> None:
    entries = tuple(an_entry(f"run-1/{n}", at=WHEN + timedelta(hours=n)) for n in range(4))
    await store.write(ToRecord(audit=(*entries, an_entry("web/0", ref=OTHER))))

    assert [entry.key for entry in await store.audit(SHOP, 2)] == ["run-1/3", "run-1/2"]
    assert [entry.key for entry in await store.audit(None, 10, WHEN + timedelta(hours=2))] == ["run-1/3", "run-1/2"]
    assert {entry.key for entry in await store.audit(None, 10)} == {entry.key for entry in entries} | {"web/0"}


async def test_samples_are_read_in_order_as_they_were_first_written(store: RecordStore) -> None:
    await store.add_samples(KEY, [a_sample(2), a_sample(1)])
    await store.add_samples(KEY, [a_sample(2, bad=9), a_sample(3), a_sample(3, bad=9)])
    await store.add_samples(KEY.model_copy(update={"run_id": "another"}), [a_sample(4)])
    await store.add_samples(KEY, [])

    assert await store.samples(KEY) == samples(1, 4)


async def test_writers_of_the_same_samples_at_once_leave_each_once(store: RecordStore) -> None:
    await store.migrate()
    await asyncio.gather(*(store.add_samples(KEY, samples(first, 60)[::-1]) for first in range(6)))

    assert await store.samples(KEY) == samples(0, 60)


async def test_one_rollout_is_found_by_its_key(store: RecordStore) -> None:
    record = a_record(phase=Phase.ROLLED_BACK)
    await store.write(ToRecord(rollout=record))

    assert await store.rollout(KEY) == record
    assert await store.rollout(KEY.model_copy(update={"run_id": "another"})) is None


async def test_whatever_people_type_is_kept_or_at_least_does_no_harm(store: RecordStore) -> None:
    odd = '\'; DROP TABLE audit_log; -- \x00 \U0001f6a2 {"a": \\u0000} %s $1 :name'
    entry = an_entry().model_copy(update={"note": odd})
    await store.write(ToRecord(rollout=a_record().model_copy(update={"note": odd, "reason": odd}), audit=(entry,)))
    kept = odd.replace("\x00", "\ufffd")

    assert (await store.audit(None, 1))[0].note == kept
    assert (await store.rollouts(SHOP, 1))[0].reason == kept


async def test_before_there_are_tables_it_is_said_who_makes_them(store: RecordStore) -> None:
    with pytest.raises(RecordsError, match=r"yet\..*The records worker (makes|mends)") as failure:
        await store.rollouts(SHOP, 10)

    assert failure.value.retryable


async def test_a_database_made_anew_meanwhile_is_given_its_tables_again(store: RecordStore) -> None:
    await store.write(to_record("run-1"))
    async with store._database._writer.begin() as connection:
        for table in (*METADATA.tables, "alembic_version"):
            await connection.execute(text(f"DROP TABLE {table}"))
        if connection.dialect.name == "postgresql":
            await connection.execute(text("DROP FUNCTION audit_log_refuses"))
    await store.write(to_record("run-2"))

    assert [record.run_id for record in await store.rollouts(SHOP, 10)] == ["run-2"]


async def test_no_error_shows_the_password_or_what_was_written(url: SecretStr, tmp_path: Path) -> None:
    async with RecordStore(url, tmp_path) as store:
        await store.migrate()
        with pytest.raises(RecordsError) as failure:
            await _write_half_an_entry(store, "hunter2")
        said = "".join(str(error) for error in _chain(failure.value))

    assert "s3cret" not in said + str(store) + repr(store._database.address)
    assert "hunter2" not in str(failure.value)


async def _write_half_an_entry(store: RecordStore, key: str) -> None:
    async with store._database.writing() as connection:
        await connection.execute(text("INSERT INTO audit_log (key) VALUES (:key)"), {"key": key})


def _chain(error: BaseException | None) -> list[BaseException]:
    return [error, *_chain(error.__cause__)] if error else []
