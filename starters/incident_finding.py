"""Which incident is meant, and which ones there are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from models.ids import IncidentRef, parse_incident_id
from models.temporal_names import INCIDENT_WORKFLOW, SearchAttribute
from starters.exits import CommandError, Exit
from starters.session import Session

PATIENCE = timedelta(seconds=5)
_SHOWN = 5

IncidentArgument = Annotated[
    str,
    typer.Argument(metavar="INCIDENT", help="ENVIRONMENT/SERVICE/KEY, or a part of it that only one open incident has"),
]


@dataclass(frozen=True)
class Seen:
    """One incident as Temporal lists it."""

    ref: IncidentRef
    phase: str
    severity: str
    opened_at: datetime


async def found_incident(client: Client, session: Session, asked: str) -> IncidentRef:
    """The one incident that is meant. Raises CommandError where none or several may be."""
    whole = _whole(asked)
    if whole:
        return whole
    fitting = [seen.ref async for seen in open_incidents(client, session) if asked in str(seen.ref)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise CommandError(
            f"No open incident has {asked!r} in its name; `holdfast incident list` lists those that are open.",
            Exit.REFUSED,
        )
    names = ", ".join(str(ref) for ref in fitting[:_SHOWN])
    raise CommandError(f"{asked!r} may be any of {len(fitting)} incidents: {names}. Write more of it.", Exit.BAD_INPUT)


async def open_incidents(client: Client, session: Session, service: str | None = None) -> AsyncIterator[Seen]:
    """Those that are not closed, of the catalog's environment."""
    environment = session.catalog().environment
    query = (
        f"WorkflowType = '{INCIDENT_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {SearchAttribute.ENVIRONMENT} = '{environment}'"
    )
    if service is not None:
        query += f" AND {SearchAttribute.SERVICE} = '{service}'"
    try:
        async for found in client.list_workflows(query, rpc_timeout=PATIENCE):
            yield Seen(
                ref=parse_incident_id(found.id),
                phase=_keyword(found, SearchAttribute.PHASE),
                severity=_keyword(found, SearchAttribute.SEVERITY),
                opened_at=found.start_time,
            )
    except RPCError as error:
        raise CommandError(
            f"Temporal could not list the incidents: {error.message}. `holdfast doctor` looks further.",
            Exit.UNREACHABLE,
        ) from error


def _keyword(found: WorkflowExecution, name: SearchAttribute) -> str:
    return found.typed_search_attributes.get(SearchAttributeKey.for_keyword(name)) or ""


def _whole(asked: str) -> IncidentRef | None:
    text = asked if asked.startswith("incident/") else f"incident/{asked}"
    try:
        return parse_incident_id(text)
    except (ValidationError, ValueError):
        return None
