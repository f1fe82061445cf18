"""What people have told a rollout to do, and what may be told to it now."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.ids import ServiceRef
    from models.rollout import WAY_BACK_FIRST, RolloutRequest, Successor


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
    successor: RolloutRequest | None = None

    def aborted(self) -> bool:
        return self.abort_reason is not None

    def has_successor(self) -> bool:
        return self.successor is not None

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

    def check_follow(self, asked: Successor, ref: ServiceRef) -> None:
        """Raises also ApplicationError of type WAY_BACK_FIRST: it may wait for the way back once that has begun."""
        _refuse(asked.request.ref != ref, f"it is about {ref}, not {asked.request.ref}")
        if self.successor and self.successor.automatic:
            back = self.successor.version
            why = f"{back} comes back first, as what was promoted is unhealthy; ask again in a moment"
            raise ApplicationError(why, type=WAY_BACK_FIRST)

    def follow(self, asked: Successor, *, decided: bool = False) -> None:
        """Let another rollout come next, at once if it is to supersede and nothing is decided yet."""
        self.successor = asked.request
        if asked.supersede and not (decided or self.closed or self.aborted()):
            self.abort_reason = f"superseded by {asked.request.version}, asked for by {asked.request.requested_by}"

    def _check_open(self) -> None:
        _refuse(self.aborted(), "it was told to abort already")
        _refuse(self.closed, "it is decided already, and being promoted or taken back")


def _refuse(condition: bool, why: str) -> None:
    if condition:
        raise ApplicationError(f"the rollout takes no such order now: {why}", type="Refused")
