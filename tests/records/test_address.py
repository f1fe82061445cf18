from pathlib import Path

import pytest
from pydantic import SecretStr

from records.address import PostgresqlServer, SqliteFile, records_address
from records.errors import RecordsError

HOME = Path("home")


def test_without_a_setting_the_records_are_a_file_in_the_home_folder() -> None:
    assert records_address(None, HOME) == SqliteFile(HOME.absolute() / "records.db")
    assert records_address(SecretStr(" "), HOME) == SqliteFile(HOME.absolute() / "records.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/holdfast.db", Path("/var/lib/holdfast.db")),
        ("sqlite:///here.db", Path("here.db").absolute()),
        ("sqlite:////with%20space%3F.db", Path("/with space?.db")),
    ],
)
def test_a_file_is_named_by_url(url: str, path: Path) -> None:
    assert records_address(SecretStr(url), HOME) == SqliteFile(path)


def test_a_server_is_shown_without_its_password() -> None:
    address = records_address(SecretStr("postgres://ada:hunter2@db.internal:6432/ops?sslmode=verify-full"), HOME)

    assert isinstance(address, PostgresqlServer)
    assert str(address) == "postgresql://ada@db.internal:6432/ops"
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:hunter2@db/ops",
        "hunter2",
        "postgresql://ada:hunter2/x@db/ops",
        "postgresql://ada:hunter2#x@db/ops",
        "postgresql://ada:hunter2?x@db/ops",
        "postgresql://ada:[hunter2@db/ops",
        "postgresql://ada@db:hunter2/ops",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_what_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(RecordsError, match="HOLDFAST_RECORDS_URL") as failure:
        records_address(SecretStr(url), HOME)

    assert "hunter2" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert not failure.value.retryable
