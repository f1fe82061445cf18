"""What Temporal's list of workflows can be searched by, kept true while an incident goes on."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from models.incident import IncidentState
    from models.temporal_names import SearchAttribute


def show(state: IncidentState) -> None:
    """Each change is an event, so only what differs from what is shown is set."""
    wanted = {
        SearchAttribute.SERVICE: state.ref.service,
        SearchAttribute.ENVIRONMENT: state.ref.environment,
        SearchAttribute.SEVERITY: str(state.severity),
        SearchAttribute.PHASE: str(state.phase),
    }
    shown = workflow.info().typed_search_attributes
    changes = [
        key.value_set(value)
        for name, value in wanted.items()
        if shown.get(key := SearchAttributeKey.for_keyword(name)) != value
    ]
    if changes:
        workflow.upsert_search_attributes(changes)
