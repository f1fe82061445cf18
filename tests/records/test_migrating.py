"""Upgrades from nothing and from every earlier revision, on SQLite and on PostgreSQL."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text

from records.errors import RecordsError
from records.migrating import _config, upgrade
from records.store import RecordStore
from records.tables import METADATA
from tests.factories import SHOP
from tests.records.factories import to_record

REVISIONS = [revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()]


async def test_tables_are_made_once_and_then_left_alone(store: RecordStore) -> None:
    first, second = await store.migrate(), await store.migrate()

    assert (first.found, second.found) == (None, first.wanted)
    assert (await store.status()).current


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_earlier_revision_is_brought_up_to_date(store: RecordStore, revision: str) -> None:
    async with store._database.writing() as connection:
        await connection.run_sync(upgrade, revision)
    await store.migrate()
    await store.write(to_record())

    assert (await store.status()).current
    assert len(await store.rollouts(SHOP, 10)) == 1


async def test_the_migrations_make_the_tables_that_the_code_describes(store: RecordStore) -> None:
    await store.migrate()
    async with store._database.reading() as connection:
        differences = await connection.run_sync(_differences)

    assert differences == []


async def test_a_difference_between_code_and_migrations_would_be_seen(store: RecordStore) -> None:
    await store.migrate()
    async with store._database.writing() as connection:
        await connection.execute(text("ALTER TABLE rollouts ADD COLUMN surplus VARCHAR"))
        differences = await connection.run_sync(_differences)

    assert [difference[0] for difference in differences] == ["remove_column"]


async def test_a_newer_schema_is_refused_for_reading_and_for_writing(store: RecordStore, url: SecretStr) -> None:
    await store.migrate()
    async with store._database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    async with RecordStore(url, Path()) as upstart:
        for doing in (upstart.write(to_record()), upstart.rollouts(SHOP, 10), upstart.migrate()):
            with pytest.raises(RecordsError, match=r"newer Holdfast \(revision 9999.*Upgrade this one") as failure:
                await doing
            assert not failure.value.retryable
        assert (await upstart.status()).newer


async def test_processes_that_migrate_at_once_do_each_other_no_harm(url: SecretStr, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = await asyncio.gather(
            *(loop.run_in_executor(pool, _migrate, url.get_secret_value(), str(tmp_path)) for _ in range(4))
        )

    assert sorted(found, key=str) == [REVISIONS[0]] * 3 + [None]


def _migrate(url: str, home: str) -> str | None:
    async def migrate() -> str | None:
        async with RecordStore(SecretStr(url), Path(home)) as store:
            return (await store.migrate()).found

    return asyncio.run(migrate())


def _differences(connection: Connection) -> list[tuple[object, ...]]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    differences: list[tuple[object, ...]] = compare_metadata(context, METADATA)
    return differences
