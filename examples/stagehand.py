"""The demo's programs: started so that none is forgotten, and ended however the demo ends."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
_PATIENCE_SECONDS = 60
_LOOK_EVERY_SECONDS = 0.1

Program = subprocess.Popen[bytes]


class EndedEarly(Exception):  # noqa: N818 - somebody wanted it
    """Somebody ended the demo: by Ctrl-C, by a signal, or by no longer reading what it says."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class ProgramDiedError(Exception):
    """A program ended that was to run as long as the demo."""


class Stagehand:
    """A context manager: leaving it ends everything that it started, the last first.

    A signal raises EndedEarly from whatever the demo does at that moment. One that comes while the programs end
    hurries them.
    """

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self._cwd = cwd
        self._env = env
        self._started: list[Program] = []
        self._lasting: dict[str, Program] = {}
        self._holding = False
        self._received: int | None = None

    def __enter__(self) -> Self:
        for number in _ENDING:
            signal.signal(number, self._on_signal)
        _tell_when_nobody_reads()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in _ENDING:
            signal.signal(number, self._on_impatience)
        for program in reversed(self._started):
            _end(program)

    def start(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start what runs as long as the demo."""
        with log.open("ab") as output, self._no_interruption():
            self._lasting[name] = self._spawn(command, output, output)

    def run(self, command: Sequence[str]) -> tuple[int, bytes]:
        """Run to its end a program that tells its story to our output. Returns its exit code and standard output."""
        with self._no_interruption():
            program = self._spawn(command, subprocess.PIPE, sys.stdout.fileno())
        try:
            self.wait(lambda: program.poll() is not None)
        finally:
            _end(program, signal.SIGINT)  # so that it gives the terminal back as it found it
        return program.returncode, program.stdout.read() if program.stdout else b""

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. Raises ProgramDiedError when what was started ends meanwhile."""
        while not condition():
            self.check()
            time.sleep(_LOOK_EVERY_SECONDS)

    def check(self) -> None:
        for name, program in self._lasting.items():
            if program.poll() is not None:
                raise ProgramDiedError(f"{name} ended by itself, with exit code {program.returncode}")

    def _spawn(self, command: Sequence[str], output: IO[bytes] | int, errors: IO[bytes] | int) -> Program:
        """In a session of its own, so that Ctrl-C reaches the demo alone."""
        program = subprocess.Popen(
            command,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        self._started.append(program)
        return program

    @contextmanager
    def _no_interruption(self) -> Iterator[None]:
        """Keep a signal for later: between a program's start and its entry in our list it would be forgotten."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._received is not None:
            raise EndedEarly(self._received)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._received = number
        if not self._holding:
            raise EndedEarly(number)

    def _on_impatience(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGPIPE:
            return
        for program in self._started:
            program.terminate()


def _end(program: Program, number: int = signal.SIGTERM) -> None:
    """Ask it to end; kill what does not heed it."""
    if program.poll() is None:
        program.send_signal(number)
        try:
            program.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _tell_when_nobody_reads() -> None:
    """Send ourselves SIGPIPE once the reader of our output has left, and not only when we say the next thing."""

    def watch(main_thread: int) -> None:
        broken = select.poll()
        broken.register(sys.stdout.fileno(), 0)  # errors are always reported
        broken.poll()
        signal.pthread_kill(main_thread, signal.SIGPIPE)

    threading.Thread(target=watch, args=(threading.get_ident(),), daemon=True).start()


def leave(code: int) -> None:
    """End this process; what could not be written because nobody reads is not complained about."""
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)
