"""The trail of watches on this host, until it is in the records: files of JSON lines, and what ships them.

Every process appends to files of its own, one per run of a rollout, and holds a file's lock only while it appends. Who
ships reads a file, has the database keep it, and then removes it under the same lock if nothing was appended meanwhile;
otherwise it is read again, which the samples' key makes harmless. So whoever dies, and whenever, the lines are in a
file, in the database, or in both.
"""

import asyncio
import fcntl
import hashlib
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from models.base import Payload
from models.evidence_trail import RolloutKey, TrailSample
from models.quantities import format_duration
from records.errors import RecordsError
from records.spool_files import RefusedLast, write_whole

FOLDER = "evidence"
"""In the home folder."""

MOST_BYTES = 64 * 1024 * 1024
"""Of all files together. A sample takes about half a kilobyte."""

EVERY = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=30)
"""Between two looks for lines to ship; the longer while the database does not take them."""

BATCH = 500
"""Samples in one transaction: a few milliseconds, so that a rollout's record never waits for a trail."""

_ATTEMPTS = 3

logger = logging.getLogger(__name__)


class SampleStore(Protocol):
    async def add_samples(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        """Keep all or none; a sample that is there stays as it is. Raises RecordsError."""
        ...


class _Line(Payload):
    rollout: RolloutKey
    sample: TrailSample


class EvidenceSpool:
    """An EvidenceLog. Several processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = uuid.uuid4().hex[:12]
        self._turn = 0
        self._said: set[str] = set()

    def add(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        """Keep the samples on this host. Never raises: what cannot be kept costs a picture, not a watch."""
        try:
            lines = (_Line(rollout=rollout, sample=sample).model_dump_json() + "\n" for sample in samples)
            if data := "".join(lines).encode():
                try:
                    self._append(_digest(rollout), data)
                except FileNotFoundError:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._append(_digest(rollout), data)
        except (OSError, ValueError) as error:
            self._say_once(error)

    def of(self, rollout: RolloutKey) -> tuple[TrailSample, ...]:
        """What is not shipped yet of one rollout, in order. Raises nothing: what cannot be read is left out."""
        kept = (line for path in self._folder.glob(f"{_digest(rollout)}-*.jsonl") for line in _lines(_read(path)))
        return tuple(sorted((line.sample for line in kept if line.rollout == rollout), key=lambda sample: sample.at))

    def files(self) -> list[Path]:
        """The oldest first."""
        aged = []
        for path in self._folder.glob("*.jsonl"):
            with suppress(OSError):  # another worker has just shipped it
                aged.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(aged)]

    def _append(self, digest: str, data: bytes) -> None:
        for _ in range(_ATTEMPTS):
            path = self._folder / f"{digest}-{self._mine}-{self._turn}.jsonl"
            with _locked(path, os.O_CREAT) as handle:
                if handle is not None:
                    write_whole(handle.number, data)
                    return
            self._turn += 1  # who removes the old one must not be waited for: it may have been stopped just there
        raise BlockingIOError(f"three new files in {self._folder} were locked by others")

    def _say_once(self, error: Exception) -> None:
        kind = f"{type(error).__name__} {getattr(error, 'errno', '')}"
        if kind not in self._said:
            self._said.add(kind)
            logger.warning(
                "Evidence cannot be kept in %s, so pictures of rollouts will have gaps: %s. Rollouts go on; this is "
                "said once.", self._folder, error,
            )  # fmt: skip


async def ship(
    spool: EvidenceSpool,
    opened: Callable[[], Awaitable[SampleStore]],
    *,
    every: timedelta = EVERY,
    most_bytes: int = MOST_BYTES,
) -> None:
    """Bring what is in the spool to the records, for ever. `opened` is called once there is something to ship.

    While the database is away the lines wait on this host, the oldest files going first beyond `most_bytes`.
    """
    shipment = _Shipment(spool, opened)
    pause = every
    while True:
        try:
            await shipment.round()
        except (RecordsError, OSError) as error:
            if pause == every:
                logger.warning("Evidence waits in its files: %s", error)
            pause = min(pause * 2, LONGEST_PAUSE)
            logger.debug("Next attempt to ship evidence in %s", format_duration(pause))
        else:
            pause = every
        await asyncio.to_thread(_drop_the_oldest, spool, most_bytes)
        await asyncio.sleep(pause.total_seconds())


class _Shipment:
    def __init__(self, spool: EvidenceSpool, opened: Callable[[], Awaitable[SampleStore]]) -> None:
        self._spool = spool
        self._opened = opened
        self._store: SampleStore | None = None
        self._refused = RefusedLast()

    async def round(self) -> None:
        """Ship every file once. A file that is refused is tried last in the next round."""
        for path in self._refused.order(await asyncio.to_thread(self._spool.files)):
            try:
                await self._one(path)
            except (RecordsError, OSError):
                self._refused.refuse(path)
                raise

    async def _one(self, path: Path) -> None:
        by_rollout, size = await asyncio.to_thread(_parsed, path)
        for rollout, samples in by_rollout.items():
            self._store = self._store or await self._opened()
            for first in range(0, len(samples), BATCH):
                await self._store.add_samples(rollout, samples[first : first + BATCH])
        _remove(path, of_size=size)


@dataclass(frozen=True)
class _Handle:
    number: int

    @property
    def size(self) -> int:
        return os.fstat(self.number).st_size


@contextmanager
def _locked(path: Path, flags: int = 0) -> Iterator[_Handle | None]:
    """Open for appending, alone; None where somebody else is at it, or has just removed the file."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        yield None
        return
    try:
        yield _Handle(number) if os.fstat(number).st_nlink else None
    finally:
        os.close(number)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # another worker has just shipped it, or it is not ours to read
        return b""


def _parsed(path: Path) -> tuple[dict[RolloutKey, list[TrailSample]], int]:
    """The samples in a file, and how long it was."""
    data = _read(path)
    by_rollout: dict[RolloutKey, list[TrailSample]] = {}
    for line in _lines(data):
        by_rollout.setdefault(line.rollout, []).append(line.sample)
    return by_rollout, len(data)


def _lines(data: bytes) -> Iterator[_Line]:
    """The lines that can be read. The last one may be half: its writer was killed, or is at it now."""
    whole, _, _half = data.rpartition(b"\n")
    for line in whole.splitlines():
        try:
            yield _Line.model_validate_json(line)
        except ValidationError as error:
            logger.debug("A line of evidence cannot be read: %s", error)


def _remove(path: Path, of_size: int | None = None) -> None:
    """Remove it unless somebody is at it, or it is not `of_size` any more."""
    with suppress(FileNotFoundError), _locked(path) as handle:
        if handle is not None and of_size in {None, handle.size}:
            path.unlink(missing_ok=True)


def _drop_the_oldest(spool: EvidenceSpool, most_bytes: int) -> None:
    files = {path: _size(path) for path in spool.files()}
    total, dropped = sum(files.values()), 0
    for path, size in files.items():
        if total - dropped <= most_bytes:
            break
        with suppress(OSError):
            _remove(path)
            dropped += size
    if dropped:
        logger.warning(
            "Evidence that the records did not take was dropped, the oldest first: %d of %d bytes; at most %d are kept",
            dropped, total, most_bytes,
        )  # fmt: skip


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _digest(rollout: RolloutKey) -> str:
    return hashlib.sha256(f"{rollout.workflow_id}\0{rollout.run_id}".encode()).hexdigest()[:24]
