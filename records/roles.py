"""What activities need of the records, without the database's libraries behind it."""

from typing import Protocol

from models.record import ToRecord


class Recorder(Protocol):
    async def write(self, entries: ToRecord) -> None:
        """Write everything or nothing; what is written already, or newer there, stays. Raises RecordsError."""
        ...
