"""What Temporal's list of workflows can be searched by, kept true while an incident goes on."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from activities.search_attributes import incident_words
    from models.incident import IncidentState


def show(state: IncidentState) -> None:
    """Each change is an event, so only what differs from what is shown is set."""
    shown = workflow.info().typed_search_attributes
    changes = [
        key.value_set(value)
        for name, value in incident_words(state.ref, state.severity, state.phase).items()
        if shown.get(key := SearchAttributeKey.for_keyword(name)) != value
    ]
    if changes:
        workflow.upsert_search_attributes(changes)
