"""A real PostgreSQL for tests: Debian's own programs, in a temporary folder, on a free port."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import asyncpg
import pytest

ADMIN = "holdfast"
PASSWORD = "s3cret-of-the-tests"
_STANDARD_FOLDERS = "/usr/lib/postgresql/*/bin"
_SERVES_WITHIN = 60.0


def postgres_programs() -> Path:
    """The folder with `initdb` and `postgres`. Skips the test without one, which in CI is a failure."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else sorted(Path("/").glob(_STANDARD_FOLDERS[1:]))
    if not folders:
        pytest.skip("PostgreSQL is not installed; `apt-get install postgresql` brings it")
    return folders[-1]


class Postgres:
    """A server of one's own that can be stopped, killed and started again on the same data and port.

    It refuses to run as root, so root runs it as an ordinary user; and not among pytest's folders, as each run of
    pytest closes those of all runs to others.
    """

    def __init__(self) -> None:
        self._programs = postgres_programs()
        self._kept = tempfile.TemporaryDirectory(prefix="holdfast-postgres-", ignore_cleanup_errors=True)
        self._folder = Path(self._kept.name)
        self._user = _ordinary_user()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._initialize()

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{ADMIN}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder,
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=50"],
                stdout=log, stderr=log, user=self._user, cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        self._await_it()

    def stop(self) -> None:
        """End it at once, as a restart does: sessions are cut off, what was committed is kept."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        self._end(signal.SIGQUIT)

    def end(self) -> None:
        """Stop it for good; its data goes."""
        self.stop()
        self._kept.cleanup()

    def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)

    async def execute(self, statement: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"records_{uuid.uuid4().hex[:12]}"
        await self.execute(f"CREATE DATABASE {name}")
        return name

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _initialize(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self._folder, secret):
                os.chown(path, self._user, -1)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", ADMIN, "--auth=scram-sha-256", "--pwfile", secret,
             "--encoding=UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, user=self._user, cwd=self._folder,
        )  # fmt: skip

    def _await_it(self) -> None:
        deadline = time.monotonic() + _SERVES_WITHIN
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process
            assert self._process.poll() is None, (self._folder / "postgres.log").read_text()
            assert time.monotonic() < deadline, f"PostgreSQL did not serve within {_SERVES_WITHIN} s"
            time.sleep(0.05)


def _ordinary_user() -> int | None:
    """Whom root runs it as; None for whoever is not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
