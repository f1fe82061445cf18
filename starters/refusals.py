"""Orders that were refused leave no trace in a workflow, so the command itself sees that they are recorded."""

import uuid
from datetime import UTC, datetime, timedelta

import typer
from temporalio.client import Client
from temporalio.service import RPCError

from models.audit import REFUSED, AuditEntry
from models.ids import ServiceRef, Version, refusal_recording_id
from models.record import ToRecord
from models.temporal_names import TaskQueue
from starters.session import from_where, who
from workflows.recording import Recording

PATIENCE = timedelta(seconds=2)
"""The person has the answer already, and waits only for its record to be on its way."""


async def record_refusal(
    client: Client, verb: str, ref: ServiceRef, *, why: str, version: Version | None = None, note: str = ""
) -> None:
    """Start what writes it to the audit log; where that cannot be, say so on stderr."""
    entry = AuditEntry(
        key=str(uuid.uuid4()),
        at=datetime.now(UTC),
        who=who(),
        what=verb,
        ref=ref,
        version=version,
        from_where=from_where(),
        outcome=REFUSED,
        why=why,
        note=note,
    )
    try:
        await client.start_workflow(
            Recording.run,
            ToRecord(audit=(entry,)),
            id=refusal_recording_id(entry.key),
            task_queue=TaskQueue.RECORDS,
            static_summary=f"record that {verb} of {ref} was refused",
            rpc_timeout=PATIENCE,
        )
    except RPCError as error:
        typer.echo(f"That this was refused is not recorded, as Temporal did not answer: {error.message}", err=True)
