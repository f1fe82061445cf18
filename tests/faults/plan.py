"""Which provider calls are slow or fail: shared, through files under the stack's home, by the test and the workers."""

from collections import Counter
from pathlib import Path

from pydantic import Field

from models.base import Payload


class Faults(Payload):
    """Of one service. `slow` is in seconds by call (`deploy.start`); `failing` is the share of all calls that fail,
    every other of them only after it has done its work.
    """

    slow: dict[str, float] = Field(default_factory=dict)
    failing: float = 0.0
    seed: int = 0


class _Plan(Payload):
    services: dict[str, Faults] = Field(default_factory=dict)


class FaultFolder:
    def __init__(self, home: Path) -> None:
        self._folder = home / "faults"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._plan = self._folder / "plan.json"

    def plan(self, faults: dict[str, Faults]) -> None:
        """From now on these services, and no others, meet faults."""
        scratch = self._plan.with_suffix(".tmp")
        scratch.write_text(_Plan(services=faults).model_dump_json())
        scratch.replace(self._plan)

    def of(self, service: str) -> Faults:
        try:
            return _Plan.model_validate_json(self._plan.read_text()).services.get(service, Faults())
        except FileNotFoundError:
            return Faults()

    def note(self, service: str, call: str) -> None:
        """A fault was met."""
        with self._met(service).open("a") as met:
            met.write(call + "\n")

    def met(self, service: str) -> Counter[str]:
        """How many faults of each call were met."""
        met = self._met(service)
        return Counter(met.read_text().splitlines() if met.exists() else ())

    def _met(self, service: str) -> Path:
        return self._folder / f"{service}.met"
