"""What people have told a rollout to do, and what may be told to it now."""

from dataclasses import dataclass

from temporalio.exceptions import ApplicationError


@dataclass
class Orders:
    """Orders are taken at any time and looked at between and during steps.

    `closed` is set once the version is being promoted or taken back: then nothing can be ordered any more.
    Each `check_` method raises ApplicationError of type `Refused`, in words for the person who gave the order.
    """

    closed: bool = False
    paused: bool = False
    asking: bool = False
    promote: bool = False
    approvals: int = 0
    abort_reason: str | None = None

    def aborted(self) -> bool:
        return self.abort_reason is not None

    def interrupts_a_bake(self) -> bool:
        return self.paused or self.promote

    def check_promote(self) -> None:
        self._check_open()
        _refuse(self.promote, "it was told to promote already")

    def check_abort(self) -> None:
        self._check_open()

    def check_pause(self) -> None:
        self._check_open()
        _refuse(self.paused, "it is paused already")

    def check_resume(self) -> None:
        self._check_open()
        _refuse(not self.paused, "it is not paused")

    def check_approve(self) -> None:
        self._check_open()
        _refuse(not self.asking, "it is not waiting for an approval")

    def _check_open(self) -> None:
        _refuse(self.aborted(), "it was told to abort already")
        _refuse(self.closed, "it is decided already, and being promoted or taken back")


def _refuse(condition: bool, why: str) -> None:
    if condition:
        raise ApplicationError(f"the rollout takes no such order now: {why}", type="Refused")
