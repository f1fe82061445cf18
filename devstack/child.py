"""One supervised program: started, watched, restarted when it dies, stopped."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from devstack.child_log import ChildLog
from devstack.spawn import Spawned, spawn
from devstack.voice import Voice

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_STABLE_AFTER = 10.0


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
        self._current: Spawned | None = None
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        process = self._current.process if self._current else None
        return process.pid if process and process.returncode is None else None

    async def start(self) -> None:
        current = await self._spawn()
        self._keeper = asyncio.create_task(self._keep(current), name=f"keep {self.spec.name}")

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
            if self._current is not None:
                self._current.kill_group()
            await asyncio.wait({keeper}, timeout=1)
        return how

    async def _spawn(self) -> Spawned:
        self._current = await spawn(self.spec.command, self.spec.env)
        return self._current

    async def _keep(self, current: Spawned | None) -> None:
        pause = _FIRST_PAUSE
        while current is not None:
            began = time.monotonic()
            await self._until_ended(current)
            self.exited.set()
            if not self.restarts:
                return
            if time.monotonic() - began > _STABLE_AFTER:
                pause = _FIRST_PAUSE
            current, pause = await self._again(_death(current.process.returncode), pause)

    async def _again(self, why: str, pause: float) -> tuple[Spawned | None, float]:
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

    async def _until_ended(self, current: Spawned) -> None:
        """Pass its lines on until it has ended. What it left running may hold its output open: not waited for."""
        reader = asyncio.create_task(self._relay(current))
        if self._stopping.is_set():  # asked to end while it was being started
            self.ask_to_end()
        await current.process.wait()
        current.kill_group()
        await asyncio.wait({reader}, timeout=1)
        reader.cancel()
        current.close()

    async def _relay(self, current: Spawned) -> None:
        async for line in current.lines():
            self.log.write(line)
            if not self._stopping.is_set():  # what is said on the way out is for the log file only
                self._voice.line(self.spec.name, line)


def _death(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was ended by signal {-returncode} ({signal.strsignal(-returncode)})"
    return f"ended with exit code {returncode}"
