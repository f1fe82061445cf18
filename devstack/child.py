"""One supervised program: started, watched, restarted when it dies, stopped."""

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from devstack.child_log import ChildLog
from devstack.tether import tethered
from devstack.voice import Voice

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_STABLE_AFTER = 10.0
_LONGEST_LINE = 65_536


@dataclass(frozen=True)
class ChildSpec:
    """`env` is added to this process's own. After `grace` a child that was asked to end is killed."""

    name: str
    command: tuple[str, ...]
    grace: timedelta
    env: Mapping[str, str] = field(default_factory=dict)


class Child:
    """Runs until `stop`. In a session of its own, so that Ctrl-C reaches only us; tied to our life nonetheless."""

    def __init__(self, spec: ChildSpec, logs: Path, voice: Voice) -> None:
        self.spec = spec
        self.log = ChildLog(logs, spec.name)
        self.exited = asyncio.Event()
        """Set once it has died the first time."""
        self.restarts = False
        """Whether it is started again when it dies; to be set once it has served."""
        self._voice = voice
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        process = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(process), name=f"keep {self.spec.name}")

    def ask_to_end(self) -> None:
        """SIGTERM, and no restart any more."""
        self._stopping.set()
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    async def stop(self, hurry: asyncio.Event) -> str:
        """Ask it to end; kill it and its process group after its grace, or at once in a hurry. Returns how it ended."""
        if self._keeper is None or self._keeper.done():
            how = "had ended"
        else:
            self.ask_to_end()
            how = await self._end_of(self._keeper, hurry)
        self.log.close()
        return how

    async def _end_of(self, keeper: asyncio.Task[None], hurry: asyncio.Event) -> str:
        how = "stopped"
        impatient = asyncio.create_task(hurry.wait())
        grace = self.spec.grace.total_seconds()
        await asyncio.wait({keeper, impatient}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        while not keeper.done():
            how = "was killed"
            if self._process is not None:
                _kill_group(self._process)
            await asyncio.wait({keeper}, timeout=1)
        return how

    async def _spawn(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *tethered(self.spec.command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={**os.environ, **self.spec.env},
            start_new_session=True,
        )
        return self._process

    async def _keep(self, process: Process | None) -> None:
        pause = _FIRST_PAUSE
        while process is not None:
            began = time.monotonic()
            await self._until_ended(process)
            self.exited.set()
            if not self.restarts:
                return
            if time.monotonic() - began > _STABLE_AFTER:
                pause = _FIRST_PAUSE
            process, pause = await self._again(_death(process.returncode), pause)

    async def _again(self, why: str, pause: float) -> tuple[Process | None, float]:
        """Start it again after a pause, and each time after a longer one. No process once it is to stop."""
        while not self._stopping.is_set():
            self._voice.say(f"{self.spec.name} {why}; starting it again in {pause:g} s.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            if not self._stopping.is_set():
                try:
                    return await self._spawn(), pause
                except OSError as error:
                    why = f"cannot be started ({error.strerror})"
        return None, pause

    async def _until_ended(self, process: Process) -> None:
        """Pass its lines on until it has ended. What it left running may hold its output open: not waited for."""
        reader = asyncio.create_task(self._relay(process))
        if self._stopping.is_set():  # asked to end while it was being started
            self.ask_to_end()
        await process.wait()
        _kill_group(process)
        await asyncio.wait({reader}, timeout=1)
        reader.cancel()

    async def _relay(self, process: Process) -> None:
        async for line in _lines(process):
            self.log.write(line)
            if not self._stopping.is_set():  # what is said on the way out is for the log file only
                self._voice.line(self.spec.name, line)


async def _lines(process: Process) -> AsyncIterator[str]:
    """Lines as they come; one without end is given in pieces."""
    rest = b""
    while process.stdout and (chunk := await process.stdout.read(_LONGEST_LINE)):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")


def _kill_group(process: Process) -> None:
    """End it and whatever of its own process group is left; others' sessions are not touched."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _death(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was ended by signal {-returncode} ({signal.strsignal(-returncode)})"
    return f"ended with exit code {returncode}"
