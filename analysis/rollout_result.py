"""What a rollout came to, told from its state alone."""

from models.ids import Version
from models.rollout import Phase, RolloutResult, RolloutState


def stable_now(state: RolloutState) -> Version | None:
    """The version that is stable, by the newest rollout of its service."""
    return state.version if state.phase in {Phase.PROMOTED, Phase.KEEPING, Phase.UNCHANGED} else state.stable


def result_of(state: RolloutState) -> RolloutResult:
    """How a rollout that is settled ended. While the old version is kept, it is promoted already."""
    return RolloutResult(
        ref=state.ref,
        version=state.version,
        outcome=Phase.PROMOTED if state.phase is Phase.KEEPING else state.phase,
        reason=state.reason,
        stable=stable_now(state),
        verdict=state.verdict,
        exposed_at=state.exposed_at,
        decided_at=state.decided_at,
        off_at=state.off_at if state.exposed_at else None,
    )
