"""What happens to a server: not there, restarted, full of sessions, not willing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from records.errors import RecordsError
from records.store import RecordStore
from tests.factories import SHOP
from tests.postgres import Postgres
from tests.records.factories import to_record
from tests.workers.eventually import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of these tests' own, which they stop and break."""
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.end()


@pytest_asyncio.fixture
async def store(server: Postgres) -> AsyncIterator[RecordStore]:
    async with RecordStore(SecretStr(server.url(await server.new_database())), Path()) as store:
        yield store


async def refused(url: str) -> RecordsError:
    async with RecordStore(SecretStr(url), Path()) as store:
        with pytest.raises(RecordsError) as failure:
            await store.write(to_record())
    assert "s3cret" not in str(failure.value)
    return failure.value


async def test_a_server_stopped_and_started_while_writes_are_due_loses_nothing_and_writes_nothing_twice(
    server: Postgres, store: RecordStore
) -> None:
    await store.migrate()
    failures: list[RecordsError] = []

    async def write(number: int) -> None:
        async def attempt() -> bool:
            try:
                await store.write(to_record(f"run-{number}"))
            except RecordsError as error:
                failures.append(error)
                return False
            return True

        await eventually(attempt)

    writes = [asyncio.create_task(write(number)) for number in range(5)]
    await asyncio.gather(*writes)
    await asyncio.to_thread(server.kill)
    writes = [asyncio.create_task(write(number)) for number in range(40)]

    async def has_failed() -> bool:
        return bool(failures)

    await eventually(has_failed)
    await asyncio.to_thread(server.start)
    await asyncio.gather(*writes)

    status = await store.status()
    assert (status.rollouts, status.audit) == (40, 40)
    assert all(failure.retryable for failure in failures)
    assert {record.run_id for record in await store.rollouts(SHOP, 50)} == {f"run-{n}" for n in range(40)}


async def test_a_server_that_is_away_is_worth_another_try(server: Postgres) -> None:
    nobody = server.url().replace(str(server.port), "1")

    error = await refused(nobody)

    assert error.retryable
    assert "postgresql://holdfast@127.0.0.1:1/postgres cannot be reached" in str(error)


async def test_a_server_that_does_not_answer_is_not_waited_for_endlessly() -> None:
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with asyncio.timeout(15):
        error = await refused(f"postgresql://holdfast@127.0.0.1:{port}/holdfast?sslmode=disable")
    silent.close()

    assert error.retryable
    assert "does not answer" in str(error)


async def test_a_wrong_password_wants_a_person(server: Postgres) -> None:
    error = await refused(server.url(password="s3cret-but-wrong"))

    assert not error.retryable
    assert "refuses the user or the password. Mend them in HOLDFAST_RECORDS_URL" in str(error)


async def test_a_database_that_does_not_exist_wants_a_person(server: Postgres) -> None:
    error = await refused(server.url("nowhere"))

    assert not error.retryable
    assert "/nowhere does not exist on its server" in str(error)


async def test_a_user_without_rights_is_told_which_are_needed(server: Postgres) -> None:
    name = await server.new_database()
    await server.execute(f"CREATE USER {name} PASSWORD 's3cret'")
    url = server.url(name, "s3cret").replace("holdfast:", f"{name}:")

    error = await refused(url)

    assert not error.retryable
    assert "right to create and to write tables" in str(error)


async def test_a_standby_is_told_from_a_primary(server: Postgres) -> None:
    name = await server.new_database()
    async with RecordStore(SecretStr(server.url(name)), Path()) as store:
        await store.migrate()
    await server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    error = await refused(server.url(name))

    assert not error.retryable
    assert "Name the primary" in str(error)


async def test_a_lock_that_stays_is_worth_another_try(server: Postgres, store: RecordStore) -> None:
    await store.write(to_record())
    async with store._database.writing() as connection:
        await connection.exec_driver_sql("LOCK TABLE rollouts")
        with pytest.raises(RecordsError) as failure:
            await store.write(to_record(revision=2))

    assert failure.value.retryable
    assert "locked by another session" in str(failure.value)
    await store.write(to_record(revision=2))


async def test_a_user_that_does_not_own_the_tables_writes_but_cannot_open_the_audit_log(
    server: Postgres, store: RecordStore
) -> None:
    await store.migrate()
    database = str(store).rpartition("/")[2]
    for statement in (
        "CREATE USER writer PASSWORD 's3cret'",
        "GRANT SELECT, INSERT, UPDATE ON rollouts TO writer",
        "GRANT SELECT, INSERT ON audit_log TO writer",
        "GRANT SELECT ON alembic_version TO writer",
    ):
        await server.execute(statement, database)
    url = server.url(database, "s3cret").replace("holdfast:", "writer:")
    async with RecordStore(SecretStr(url), Path()) as writer:
        for revision in (1, 2):
            await writer.write(to_record(revision=revision))
        with pytest.raises(RecordsError, match="must be owner of"):
            await _open_the_audit_log(writer)

    (record,) = await store.rollouts(SHOP, 10)
    assert record.revision == 2


async def _open_the_audit_log(store: RecordStore) -> None:
    async with store._database.writing() as connection:
        await connection.exec_driver_sql("DROP TRIGGER audit_log_keeps_entries ON audit_log")
