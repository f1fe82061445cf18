"""What Temporal's list of workflows can be searched by, kept true while an incident goes on."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from activities.search_attributes import keywords
    from models.ids import IncidentRef
    from models.incident import IncidentRequest, IncidentState, Phase
    from models.severity import Severity
    from models.temporal_names import SearchAttribute


def search_attributes(request: IncidentRequest) -> TypedSearchAttributes:
    """What an incident is found by from its first moment."""
    phase = Phase.PENDING if request.begins_pending else Phase.TRIGGERED
    return keywords(_attributes(request.ref, request.severity, phase))


def show(state: IncidentState) -> None:
    """Each change is an event, so only what differs from what is shown is set."""
    shown = workflow.info().typed_search_attributes
    changes = [
        key.value_set(value)
        for name, value in _attributes(state.ref, state.severity, state.phase).items()
        if shown.get(key := SearchAttributeKey.for_keyword(name)) != value
    ]
    if changes:
        workflow.upsert_search_attributes(changes)


def _attributes(ref: IncidentRef, severity: Severity, phase: Phase) -> dict[SearchAttribute, str]:
    return {
        SearchAttribute.SERVICE: ref.service,
        SearchAttribute.ENVIRONMENT: ref.environment,
        SearchAttribute.SEVERITY: str(severity),
        SearchAttribute.PHASE: str(phase),
    }
