"""An evidence log that only remembers."""

from collections.abc import Sequence

from models.evidence_trail import RolloutKey, TrailSample


class FakeEvidenceLog:
    def __init__(self) -> None:
        self.samples: list[TrailSample] = []

    def add(self, rollout: RolloutKey, samples: Sequence[TrailSample]) -> None:
        self.samples += samples
