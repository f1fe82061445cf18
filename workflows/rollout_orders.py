"""What people have told a rollout to do, and what may be told to it now."""

from dataclasses import dataclass


@dataclass
class Orders:
    """Orders are taken at any time and looked at between and during steps.

    `closed` is set once the version is being promoted or taken back: then nothing can be ordered any more.
    """

    closed: bool = False
    paused: bool = False
    promote: bool = False
    approvals: int = 0
    abort_reason: str | None = None

    def aborted(self) -> bool:
        return self.abort_reason is not None

    def interrupts_a_bake(self) -> bool:
        return self.paused or self.promote
