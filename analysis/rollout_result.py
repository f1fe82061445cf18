"""What a rollout came to, told from its state alone."""

from datetime import datetime

from models.evidence_trail import RolloutKey
from models.ids import Version
from models.record import RolloutRecord
from models.rollout import Phase, Promote, RolloutResult, RolloutState, StepStatus


def is_promoted(state: RolloutState) -> bool:
    """Whether the version has become the stable one, though there may be more to do."""
    return any(isinstance(step.step, Promote) and step.status is StepStatus.DONE for step in state.steps)


def stable_now(state: RolloutState) -> Version | None:
    """The version that is stable, by the newest rollout of its service."""
    settled = state.phase in {Phase.PROMOTED, Phase.KEEPING, Phase.UNCHANGED}
    return state.version if settled or is_promoted(state) else state.stable


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


def record_of(
    state: RolloutState, key: RolloutKey, *, started_at: datetime, ended_at: datetime | None
) -> RolloutRecord:
    """The rollout as its state shows it; who orders what, and why, is not in there."""
    return RolloutRecord(
        workflow_id=key.workflow_id,
        run_id=key.run_id,
        ref=state.ref,
        version=state.version,
        stable_before=state.stable,
        strategy=state.strategy,
        requested_by=state.requested_by,
        phase=state.phase,
        reason=state.reason,
        started_at=started_at,
        ended_at=ended_at,
        exposed_at=state.exposed_at,
        decided_at=state.decided_at,
        off_at=state.off_at,
        verdict=state.verdict,
        timeline=state.timeline,
    )
