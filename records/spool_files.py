"""What files of lines that wait for the records have in common: how one is appended to, and which is shipped first."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def write_whole(number: int, data: bytes) -> None:
    """Append all of it to an open file, or, where the disk has no room for all, nothing. Raises OSError."""
    before = os.fstat(number).st_size
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(number, rest) :]
    except OSError:
        os.ftruncate(number, before)
        raise


class RefusedLast:
    """An order of files in which one that the database refuses, or that cannot be read, keeps no other back."""

    def __init__(self) -> None:
        self._refused: Counter[Path] = Counter()

    def order(self, files: Iterable[Path]) -> list[Path]:
        """As given, but what was refused comes last, the more often the later. What is gone is forgotten."""
        known = list(files)
        self._refused = Counter({path: self._refused[path] for path in known if self._refused[path]})
        return sorted(known, key=self._refused.__getitem__)

    def refuse(self, path: Path) -> None:
        self._refused[path] += 1
