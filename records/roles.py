"""What activities need of the records, without the database's libraries behind it."""

from collections.abc import Sequence
from typing import Protocol

from models.evidence_trail import RolloutKey, TrailSample
from models.record import ToRecord


class Recorder(Protocol):
    async def write(self, entries: ToRecord) -> None:
        """Write everything or nothing; what is written already, or newer there, stays. Raises RecordsError."""
        ...


class EvidenceLog(Protocol):
    def add(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        """Keep the samples on this host and bring them to the records later, each once. Quick; never raises."""
        ...
