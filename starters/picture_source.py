"""What the picture of a rollout is drawn from: its record, and the trail of its watch."""

from dataclasses import dataclass

from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from analysis.rollout_result import record_of
from models.evidence_trail import RolloutKey, TrailSample
from models.ids import ServiceRef, rollout_id
from models.record import RolloutRecord
from models.rollout import PastRollout
from starters.exits import CommandError, Exit
from starters.observing import PATIENCE
from starters.past import past_rollouts
from starters.session import Session
from starters.trail_samples import by_time, waiting_here
from workflows.rollout import Rollout

_SEARCHED = 100
"""How far back a run id is looked for."""


@dataclass(frozen=True)
class Source:
    """`trouble` is a sentence about what is missing, and why."""

    record: RolloutRecord
    samples: tuple[TrailSample, ...]
    trouble: str | None = None


async def chosen(session: Session, ref: ServiceRef, run_id: str | None) -> PastRollout:
    """The newest rollout, or the one whose run id begins so. Raises CommandError where there is none."""
    past = await past_rollouts(session, ref, _SEARCHED if run_id else 1)
    found = [each for each in past if each.run_id.startswith(run_id or "")]
    if run_id and len(found) > 1 and run_id not in {each.run_id for each in found}:
        raise CommandError(f"{len(found)} rollouts of {ref.service} have run ids that begin {run_id}.", Exit.BAD_INPUT)
    if found:
        return next((each for each in found if each.run_id == run_id), found[0])
    if run_id:
        raise CommandError(
            f"None of the last {_SEARCHED} rollouts of {ref.service} has the run id {run_id}; "
            f"`holdfast history {ref.service} --json` lists them.",
            Exit.BAD_INPUT,
        )
    raise CommandError(
        f"No rollout of {ref.service} is known yet; `holdfast deploy {ref.service} VERSION` begins one.", Exit.REFUSED
    )


async def source_of(session: Session, ref: ServiceRef, run_id: str) -> Source:
    """The record as far as it is known by now, and every sample. Raises CommandError when the rollout is not known."""
    key = RolloutKey(workflow_id=rollout_id(ref), run_id=run_id)
    waiting = await waiting_here(session, key)
    recorded: RolloutRecord | None = None
    shipped: tuple[TrailSample, ...] = ()
    trouble: str | None = None
    try:
        async with session.records() as store:
            recorded = await store.rollout(key)
            shipped = await store.samples(key)
    except CommandError as error:
        trouble = f"The picture may be incomplete. {error}"
    record = recorded if recorded and recorded.ended_at else await _seen(session, ref, key) or recorded
    if record is None:
        raise CommandError(
            trouble or f"Neither the records nor Temporal know the run {run_id} of {ref.service}.", Exit.UNREACHABLE
        )
    return Source(record, by_time(waiting, shipped), trouble)


async def _seen(session: Session, ref: ServiceRef, key: RolloutKey) -> RolloutRecord | None:
    """What Temporal knows of it; None where it does not answer, or no worker does."""
    try:
        handle = await session.rollout(ref, key.run_id)
        description = await handle.describe(rpc_timeout=PATIENCE)
        state = await handle.query(Rollout.state, rpc_timeout=PATIENCE)
    except (CommandError, RPCError, WorkflowQueryFailedError):
        return None
    return record_of(state, key, started_at=description.start_time, ended_at=description.close_time)
