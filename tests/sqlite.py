"""A SQLite database held by somebody else."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN " + sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_by_another_process(database: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Until the block ends nobody else writes. EXCLUSIVE bars readers, too, where there is no write-ahead log."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, database, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == b"held\n"
        yield
    finally:
        holder.communicate(b"\n", timeout=20)
