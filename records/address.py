"""Where the records are: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from records.errors import RecordsError

SETTING = "HOLDFAST_RECORDS_URL"
DEFAULT_FILE = "records.db"
_ALLOWED = f"{SETTING} may be sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_POSTGRESQL = ("postgresql", "postgres")


@dataclass(frozen=True)
class SqliteFile:
    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class PostgresqlServer:
    """`dsn` is given to the driver as it was written, so that every parameter libpq has keeps its meaning."""

    dsn: SecretStr
    shown: str

    def __str__(self) -> str:
        return self.shown


Address = SqliteFile | PostgresqlServer


def records_address(url: SecretStr | None, home: Path) -> Address:
    """Read the setting; without it, a file in the home folder. Raises RecordsError, which never shows the url."""
    if url is None or not url.get_secret_value().strip():
        return SqliteFile(home.absolute() / DEFAULT_FILE)
    text = url.get_secret_value().strip()
    scheme = text.partition("://")[0]
    if scheme == "sqlite":
        return SqliteFile(_file(text))
    if scheme in _POSTGRESQL:
        return PostgresqlServer(url, _shown(text))
    raise RecordsError(f"{_ALLOWED}; the one set begins otherwise.", retryable=False)


def _file(text: str) -> Path:
    name = unquote(text.removeprefix("sqlite://").partition("?")[0]).removeprefix("/")
    if not name or name == ":memory:":
        raise RecordsError(f"{_ALLOWED}; the one set names no file, and memory keeps nothing.", retryable=False)
    return Path(name).absolute()


def _shown(text: str) -> str:
    """The address without its password. Refused is what could hide a part of a password elsewhere than in its place."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _unreadable() from None
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise _unreadable()
    user = f"{parts.username}@" if parts.username else ""
    where = f"{parts.hostname or ''}{f':{port}' if port else ''}"
    return f"postgresql://{user}{where}{parts.path}"


def _unreadable() -> RecordsError:
    return RecordsError(
        f"{SETTING} cannot be read. In a user name or password, write special characters as percent codes: "
        "@ is %40, / is %2F, # is %23, : is %3A, % is %25.",
        retryable=False,
    )
