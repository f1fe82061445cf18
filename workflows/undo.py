"""The undo stack: what takes back the effects of a workflow that does not go through."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import metrics
from workflows.interruption import shielded
from workflows.policies import RETRY_A_REFUSAL, longer


@dataclass(frozen=True)
class Undo:
    name: str
    act: Callable[[], Awaitable[object]]


class UndoStack:
    """Push the undo *before* its action, as the action may happen in part; each undo may be repeated without harm.

    Undoing goes last in, first out, and stays at one entry until it is done: an earlier one may only be safe once
    the later is (a version is stopped only when its traffic has gone).
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._entries: list[Undo] = []

    def push(self, name: str, act: Callable[[], Awaitable[object]]) -> None:
        """Remember how to take back what comes next; the same name again replaces the act and keeps its place."""
        entry = Undo(name, act)
        for index, known in enumerate(self._entries):
            if known.name == name:
                self._entries[index] = entry
                return
        self._entries.append(entry)

    def has(self, name: str) -> bool:
        return any(entry.name == name for entry in self._entries)

    def clear(self) -> None:
        """What was done stands: there is nothing to undo any more."""
        self._entries.clear()

    def __bool__(self) -> bool:
        return bool(self._entries)

    async def unwind(self) -> None:
        """Run every undo, shielded from cancellation, each until it succeeds."""
        await shielded(self._unwind())

    async def _unwind(self) -> None:
        while self._entries:
            await must_happen(self._entries[-1].name, self._entries[-1].act, self._report)
            self._entries.pop()


async def must_happen(name: str, act: Callable[[], Awaitable[object]], report: Callable[[str], None]) -> None:
    """Run an act whose activities retry for ever; where one is refused for good, say so and ask again later."""
    pause = RETRY_A_REFUSAL
    while True:
        try:
            await act()
        except ActivityError as error:
            metrics.refused()
            report(f"{name} was refused, trying again in {pause.seconds} s: {error.cause or error}")
            await workflow.sleep(pause)
            pause = longer(pause)
        else:
            report(name)
            return
