"""One history of a service out of two, what is recorded and what Temporal still knows; and where it leads back to."""

from collections.abc import Iterable, Sequence

from analysis.rollout_result import is_promoted, stable_now
from models.ids import Version
from models.rollout import PastRollout, Phase, RolloutState


def merged(recorded: Iterable[PastRollout], seen: Iterable[PastRollout], limit: int) -> list[PastRollout]:
    """Every run once, the newest first. Who knows its end is believed; while nobody does, Temporal is fresher."""
    by_run = {rollout.run_id: rollout for rollout in recorded}
    for rollout in seen:
        known = by_run.get(rollout.run_id)
        if known is None or known.ended_at is None:
            back = known is not None and known.back
            by_run[rollout.run_id] = rollout.model_copy(update={"back": back})
    return sorted(by_run.values(), key=lambda rollout: (rollout.started_at, rollout.run_id), reverse=True)[:limit]


def unaccounted(recorded: Sequence[PastRollout], seen: Iterable[PastRollout]) -> list[PastRollout]:
    """Those recorded as under way that Temporal's list does not show: whether they are is to be asked one by one."""
    listed = {rollout.run_id for rollout in seen}
    return [rollout for rollout in recorded if rollout.ended_at is None and rollout.run_id not in listed]


def leads_back_to(newest: RolloutState, past: Sequence[PastRollout]) -> Version | None:
    """Where who names no version goes back to; None when that is not known.

    From the middle of a rollout that is to the version it would replace: who goes back then wants the new one gone, and
    not the stable one as well.
    """
    if not (newest.phase.settled or is_promoted(newest)):
        return newest.stable
    stable = stable_now(newest)
    return version_before(past, stable) if stable else None


def version_before(past: Sequence[PastRollout], stable: Version) -> Version | None:
    """The version that served well before the stable one, given the newest rollout first; None when none is known.

    What people or the judge went back from is not come back to. A version that returns, however it was asked for,
    leaves behind what was promoted since it was there before.
    """
    served: list[Version] = []
    for rollout in reversed(past):
        if rollout.phase in {Phase.PROMOTED, Phase.KEEPING}:
            _become(served, rollout.version, back=rollout.back)
        elif rollout.phase is Phase.ROLLED_BACK and not rollout.back and rollout.version in served[:-1]:
            served.remove(rollout.version)
    _become(served, stable)
    return served[-2] if len(served) > 1 else None


def once_promoted(past: Iterable[PastRollout], stable: Version | None) -> tuple[Version, ...]:
    """The other versions that were, each once, in the order of `past`."""
    promoted = (rollout.version for rollout in past if rollout.phase in {Phase.PROMOTED, Phase.KEEPING})
    return tuple(dict.fromkeys(version for version in promoted if version != stable))


def _become(served: list[Version], version: Version, *, back: bool = False) -> None:
    if version in served:
        del served[served.index(version) + 1 :]
        return
    if back and served:
        served.pop()
    served.append(version)
