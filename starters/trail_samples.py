"""The trail of a rollout's watch, part of which may be on this host only."""

import asyncio
from collections.abc import Iterable

from models.evidence_trail import RolloutKey, TrailSample
from records.evidence_spool import FOLDER, EvidenceSpool
from starters.session import Session


async def waiting_here(session: Session, key: RolloutKey) -> tuple[TrailSample, ...]:
    """What was not shipped from this host yet. Read it before the records: what is shipped meanwhile is in those."""
    return await asyncio.to_thread(EvidenceSpool(session.settings.home / FOLDER).of, key)


def by_time(waiting: Iterable[TrailSample], shipped: Iterable[TrailSample]) -> tuple[TrailSample, ...]:
    """Each sample once, in order."""
    found = {sample.at: sample for sample in (*waiting, *shipped)}
    return tuple(found[at] for at in sorted(found))
