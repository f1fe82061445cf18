"""A child's log file: appended to, and bounded."""

from collections import deque
from pathlib import Path

_LIMIT = 10_000_000
_TAIL = 5


class ChildLog:
    """Keeps at most two files of 10 MB: `<name>.log` and the one before, `<name>.log.1`.

    Each line is flushed, as it may be the last. A disk that is full costs lines, never the child.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.log"
        self._recent: deque[str] = deque(maxlen=_TAIL)
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, line: str) -> None:
        self._recent.append(line)
        try:
            if self._file.tell() > _LIMIT:
                self._file.close()
                self.path.replace(self.path.with_name(self.path.name + ".1"))
                self._file = self.path.open("a", encoding="utf-8")
            self._file.write(line + "\n")
            self._file.flush()
        except (OSError, ValueError):  # ValueError: reopening failed, so the file is closed
            return

    def tail(self) -> str:
        """The last lines of this run."""
        return "\n".join(f"  {line}" for line in self._recent)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            return
