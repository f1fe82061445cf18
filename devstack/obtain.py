"""Obtaining a program by the first way that works, kept in a cache that all clones of a user share."""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import platformdirs

from devstack.errors import ObtainError

Say = Callable[[str], None]
"""Takes a plain sentence about progress; the caller decides how it looks."""

_TICK = 3.0
_LOCK_POLL = 0.2
_SCRATCH = ".partial-"


class WayFailedError(Exception):
    """One way did not work; the message is the reason, without a full stop."""


@dataclass(frozen=True)
class Way:
    """One way to obtain a program: `run` returns where it is, or raises WayFailedError."""

    name: str
    run: Callable[[], Awaitable[Path]]


def cache_folder(cache_dir: Path | None) -> Path:
    """The folder for obtained programs, made if need be. Raises ObtainError when that cannot be done."""
    folder = cache_dir or Path(platformdirs.user_cache_dir("holdfast"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ObtainError(
            f"The cache folder {folder} cannot be made: {error.strerror}. Set HOLDFAST_CACHE_DIR to one that can."
        ) from error
    return folder.absolute()


async def obtain(
    product: str, folder: Path, *, at_hand: Sequence[Way], to_fetch: Sequence[Way], advice: str, say: Say
) -> Path:
    """Return what is at hand, else fetch it into the cache folder. One process at a time does the latter.

    Raises ObtainError that tells each way's reason, then the advice.
    """
    try:
        return await _first_that_works(product, at_hand, advice)
    except ObtainError:
        pass
    async with _exclusively(folder / f".{_dashed(product)}.lock", product, say):
        return await _first_that_works(product, [*at_hand, *to_fetch], advice)


@contextmanager
def scratch(folder: Path, product: str) -> Iterator[Path]:
    """A temporary folder on the cache's own file system, so that a rename out of it is atomic.

    To be used by the lock's holder: what a killed predecessor left behind is removed.
    """
    prefix = f"{_SCRATCH}{_dashed(product)}-"
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def ticking(say: Say, doing: str) -> AsyncIterator[None]:
    """Say what is being done, and every few seconds for how long already."""
    say(f"{doing} ...")
    ticker = asyncio.create_task(_tick(say, doing))
    try:
        yield
    finally:
        ticker.cancel()


def last_lines(text: str, count: int = 3) -> str:
    """The end of a program's output, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "it printed nothing"


def seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.0f} s"


async def _tick(say: Say, doing: str) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(_TICK)
        say(f"{doing}: {time.monotonic() - began:.0f} s so far")


async def _first_that_works(product: str, ways: Sequence[Way], advice: str) -> Path:
    tried: list[str] = []
    for way in ways:
        try:
            return await way.run()
        except (WayFailedError, OSError) as reason:
            tried.append(f"  - {way.name}: {reason}")
    raise ObtainError("\n".join((f"The {product} could not be obtained. Tried:", *tried, advice)))


def _dashed(product: str) -> str:
    return product.lower().replace(" ", "-")


@asynccontextmanager
async def _exclusively(lock: Path, product: str, say: Say) -> AsyncIterator[None]:
    """Hold the lock file; the kernel lets go of it when its holder dies, however it dies."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try_lock(descriptor):
            async with ticking(say, f"Waiting for another process that obtains the {product}"):
                while not _try_lock(descriptor):  # noqa: ASYNC110 - another process does not set our events
                    await asyncio.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
