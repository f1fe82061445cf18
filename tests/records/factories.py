"""Records with good defaults, for tests to vary."""

from datetime import datetime, timedelta

from models.audit import AuditEntry
from models.ids import ServiceRef
from models.record import RolloutRecord, ToRecord
from models.rollout import Phase, TimelineEntry
from tests.factories import SHOP, WHEN, unhealthy


def an_entry(key: str = "run-1/0", *, at: datetime = WHEN, what: str = "deploy", ref: ServiceRef = SHOP) -> AuditEntry:
    return AuditEntry(
        key=key, at=at, who="ada@laptop", what=what, ref=ref, version="v2", from_where="command@laptop", note="why not"
    )


def a_record(
    run_id: str = "run-1",
    *,
    revision: int = 1,
    phase: Phase = Phase.PROGRESSING,
    ref: ServiceRef = SHOP,
    started_at: datetime = WHEN,
    audit: tuple[AuditEntry, ...] = (),
) -> RolloutRecord:
    ended_at = started_at + timedelta(minutes=5) if phase.final else None
    return RolloutRecord(
        workflow_id=f"rollout/{ref}",
        run_id=run_id,
        revision=revision,
        ref=ref,
        version="v2",
        stable_before="v1",
        strategy="canary",
        requested_by="ada@laptop",
        note="new prices",
        phase=phase,
        reason="error_rate is 20%, allowed is 5%",
        started_at=started_at,
        ended_at=ended_at,
        exposed_at=started_at + timedelta(seconds=10, microseconds=123_456),
        decided_at=ended_at,
        off_at=ended_at,
        verdict=unhealthy(),
        timeline=(TimelineEntry(at=started_at, text="ada asked for v2"),),
        audit=audit,
    )


def to_record(run_id: str = "run-1", *, revision: int = 1, phase: Phase = Phase.PROGRESSING) -> ToRecord:
    return ToRecord(rollout=a_record(run_id, revision=revision, phase=phase, audit=(an_entry(f"{run_id}/0"),)))
