"""The example's programs, run as a user runs them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.02

Program = subprocess.Popen[str]


@contextmanager
def running(*words: str) -> Iterator[Program]:
    """A program of ours with its output at hand, ended at the latest when the test is."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


@dataclass(frozen=True)
class RunningShop:
    program: Program
    url: str


@contextmanager
def shop(version: str = "v1") -> Iterator[RunningShop]:
    with running("-m", "examples.shop.server", "--port", "0", "--version", version) as program:
        yield RunningShop(program, address_of(program))


def address_of(program: Program) -> str:
    """Where a shop says that it listens."""
    assert program.stdout
    line = program.stdout.readline()
    match = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert match, f"{line!r} {program.stderr.read() if program.stderr else ''}"
    return match[0]


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(_POLL_SECONDS)
