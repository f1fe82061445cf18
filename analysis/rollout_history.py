"""One history of a service out of two: what is recorded, and what Temporal still knows."""

from collections.abc import Iterable, Sequence

from models.rollout import PastRollout


def merged(recorded: Iterable[PastRollout], seen: Iterable[PastRollout], limit: int) -> list[PastRollout]:
    """Every run once, the newest first. Who knows its end is believed; while nobody does, Temporal is fresher."""
    by_run = {rollout.run_id: rollout for rollout in recorded}
    for rollout in seen:
        known = by_run.get(rollout.run_id)
        if known is None or known.ended_at is None:
            by_run[rollout.run_id] = rollout
    return sorted(by_run.values(), key=lambda rollout: (rollout.started_at, rollout.run_id), reverse=True)[:limit]


def unaccounted(recorded: Sequence[PastRollout], seen: Iterable[PastRollout]) -> list[PastRollout]:
    """Those recorded as under way that Temporal's list does not show: whether they are is to be asked one by one."""
    listed = {rollout.run_id for rollout in seen}
    return [rollout for rollout in recorded if rollout.ended_at is None and rollout.run_id not in listed]
