"""Rows and the models that they are made of."""

from typing import Any, cast

from sqlalchemy import RowMapping

from models.audit import AuditEntry
from models.evidence_trail import RolloutKey, TrailSample
from models.ids import ServiceRef
from models.record import RolloutRecord

_AS_JSON = {"verdict", "timeline"}


def rollout_row(record: RolloutRecord) -> dict[str, Any]:
    row = {**record.model_dump(exclude={"ref", "audit", *_AS_JSON}), **record.ref.model_dump()}
    row.update(record.model_dump(mode="json", include=_AS_JSON))
    return storable(row)


def rollout_record(row: RowMapping) -> RolloutRecord:
    return RolloutRecord.model_validate({**row, "ref": _ref(row)})


def audit_row(entry: AuditEntry) -> dict[str, Any]:
    return storable({**entry.model_dump(exclude={"ref"}), **entry.ref.model_dump()})


def audit_entry(row: RowMapping) -> AuditEntry:
    return AuditEntry.model_validate({**row, "ref": _ref(row)})


def sample_row(rollout: RolloutKey, sample: TrailSample) -> dict[str, Any]:
    return storable({**rollout.model_dump(), "at": sample.at, "document": sample.model_dump(mode="json")})


def trail_sample(row: RowMapping) -> TrailSample:
    return TrailSample.model_validate(row["document"])


def _ref(row: RowMapping) -> ServiceRef:
    return ServiceRef(environment=row["environment"], service=row["service"])


def storable(row: dict[str, Any]) -> dict[str, Any]:
    return cast(dict[str, Any], _without_nul(row))


def _without_nul(value: object) -> object:
    """PostgreSQL takes no NUL character. A note that holds one is kept without rather than not at all."""
    if isinstance(value, str):
        return str(value).replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {key: _without_nul(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(each) for each in value]
    return value
