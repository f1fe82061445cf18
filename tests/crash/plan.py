"""Where a worker is to die: shared, through files under the stack's home, by the test and the workers it kills."""

from enum import StrEnum
from pathlib import Path

from models.base import Payload


class Moment(StrEnum):
    """BEFORE: the activity was taken and nothing was done. AFTER: all was done and Temporal does not know yet."""

    BEFORE = "before"
    AFTER = "after"


class Death(Payload):
    """The worker that takes the nth call of an activity in a run of this workflow is killed at this moment, once."""

    workflow_id: str
    activity: str
    nth: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.activity} #{self.nth}"


class Executed(Payload):
    """One line of the journal: an attempt at an activity was taken by a worker."""

    workflow_id: str
    run_id: str
    activity: str
    activity_id: str
    attempt: int


class CrashFolder:
    def __init__(self, home: Path) -> None:
        self._folder = home / "crash"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._journal = self._folder / "journal.jsonl"
        self._death = self._folder / "death.json"

    def plan(self, death: Death) -> None:
        scratch = self._death.with_suffix(".tmp")
        scratch.write_text(death.model_dump_json())
        scratch.replace(self._death)

    @property
    def due(self) -> Death | None:
        try:
            return Death.model_validate_json(self._death.read_text())
        except FileNotFoundError:
            return None

    def fire(self) -> None:
        """Nobody else dies of it. Raises FileNotFoundError for whoever comes second."""
        self._death.unlink()

    def note(self, executed: Executed) -> None:
        with self._journal.open("a") as journal:
            journal.write(executed.model_dump_json() + "\n")

    def journal(self) -> list[Executed]:
        """Every attempt so far, in the order in which they were taken."""
        if not self._journal.exists():
            return []
        whole, _, _ = self._journal.read_text().rpartition("\n")  # a line may be half written yet
        return [Executed.model_validate_json(line) for line in whole.splitlines()]

    def executed(self, run_id: str) -> list[Executed]:
        """Every attempt so far at the activities of one run."""
        return [each for each in self.journal() if each.run_id == run_id]
