"""What a worker process says about itself."""

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from runtime.health import Report, loop_sentence


class State(StrEnum):
    CONNECTING = "connecting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Runs(Protocol):
    @property
    def is_running(self) -> bool: ...


class WorkerReport(Report):
    """`seconds` since the process started to work."""

    state: State
    groups: tuple[str, ...]
    seconds: float


_SENTENCES = {
    State.CONNECTING: "Temporal is not reached yet; the worker keeps trying.",
    State.STARTING: "Temporal is reached; the workers are starting.",
    State.RUNNING: "All workers take tasks from their queues.",
    State.STOPPING: "The worker is stopping; it finishes what runs and takes nothing new.",
}


class Status:
    """Where a worker process is in its life."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = tuple(groups)
        self._since = time.monotonic()
        self._workers: Sequence[Runs] = ()
        self._stopping = False

    def connected(self, workers: Sequence[Runs]) -> None:
        self._workers = workers

    def stopping(self) -> None:
        self._stopping = True

    @property
    def state(self) -> State:
        if self._stopping:
            return State.STOPPING
        if not self._workers:
            return State.CONNECTING
        return State.RUNNING if all(worker.is_running for worker in self._workers) else State.STARTING

    def ready(self) -> WorkerReport:
        state = self.state
        return self._report(state, ok=state == State.RUNNING, text=_SENTENCES[state])

    def alive(self, *, loop_answers: bool) -> WorkerReport:
        return self._report(self.state, ok=loop_answers, text=loop_sentence(loop_answers=loop_answers))

    def _report(self, state: State, *, ok: bool, text: str) -> WorkerReport:
        seconds = round(time.monotonic() - self._since, 1)
        return WorkerReport(ok=ok, state=state, groups=self._groups, seconds=seconds, text=text)
