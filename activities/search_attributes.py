"""What Temporal's list of workflows can be searched by, as it takes it when one is started."""

from collections.abc import Mapping

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from models.ids import IncidentRef
from models.incident import IncidentRequest, Phase
from models.severity import Severity
from models.temporal_names import SearchAttribute


def keywords(values: Mapping[SearchAttribute, str]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), str(value)) for name, value in values.items()]
    )


def of_incident(request: IncidentRequest) -> TypedSearchAttributes:
    """What an incident is found by from its first moment."""
    phase = Phase.PENDING if request.begins_pending else Phase.TRIGGERED
    return keywords(incident_words(request.ref, request.severity, phase))


def incident_words(ref: IncidentRef, severity: Severity, phase: Phase) -> dict[SearchAttribute, str]:
    return {
        SearchAttribute.SERVICE: ref.service,
        SearchAttribute.ENVIRONMENT: ref.environment,
        SearchAttribute.SEVERITY: str(severity),
        SearchAttribute.PHASE: str(phase),
    }
