"""Starting a program whose output we read line by line."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from devstack.tether import tethered

_LONGEST_LINE = 65_536


@dataclass(frozen=True)
class Spawned:
    """A program in a session of its own, tied to our life, and our end of the pipe that it prints to.

    The pipe is ours and not asyncio's, whose `wait` returns only when nobody holds the other end any more: a service
    that a worker started may hold it for days.
    """

    process: Process
    _reader: asyncio.StreamReader
    _pipe: asyncio.BaseTransport

    async def lines(self) -> AsyncIterator[str]:
        """Standard output and error as they come; a line without end is given in pieces."""
        rest = b""
        while chunk := await self._reader.read(_LONGEST_LINE):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                whole, rest = [*whole, rest], b""
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")
        if rest:
            yield rest.decode(errors="replace")

    def kill_group(self) -> None:
        """End it and what is left of its own process group; sessions of others are not touched."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        self._pipe.close()


async def spawn(command: Sequence[str], env: Mapping[str, str]) -> Spawned:
    """Start it, with `env` added to our own environment. Raises OSError."""
    read_end, write_end = os.pipe()
    try:
        reader = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *tethered(command),
                stdin=DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env={**os.environ, **env},
                start_new_session=True,
            )
        except OSError:
            pipe.close()
            raise
    finally:
        os.close(write_end)
    return Spawned(process, reader, pipe)
