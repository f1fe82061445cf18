import asyncio
import io
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from devstack.temporal_cli import find_temporal_cli
from devstack.voice import Voice


@pytest.fixture(scope="session")
def real_cli() -> Path:
    """A `temporal` that really runs; from the user's cache where there is one, so that it is built once at most."""
    return asyncio.run(find_temporal_cli(configured=None, cache_dir=None, say=lambda sentence: None))


class Terminal:
    """Keeps what a voice shows."""

    def __init__(self) -> None:
        self._shown = io.StringIO()
        self.voice = Voice(Console(file=self._shown, width=200))

    @property
    def text(self) -> str:
        return self._shown.getvalue()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


async def eventually(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait until the condition holds, or fail."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not come true within {within} s"
        await asyncio.sleep(0.02)


def write_program(path: Path, shell: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{shell}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def python_program(path: Path, source: str) -> tuple[str, ...]:
    path.write_text(source, encoding="utf-8")
    return (sys.executable, "-u", str(path))
