"""What Temporal's list of workflows can be searched by."""

from temporalio import workflow
from temporalio.common import TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from activities.search_attributes import keywords
    from models.rollout import Phase, RolloutRequest
    from models.temporal_names import SearchAttribute


def search_attributes(request: RolloutRequest) -> TypedSearchAttributes:
    """What a rollout is found by from its first moment; the phase then follows it."""
    return keywords(
        {
            SearchAttribute.SERVICE: request.ref.service,
            SearchAttribute.ENVIRONMENT: request.ref.environment,
            SearchAttribute.VERSION: request.version,
            SearchAttribute.STRATEGY: request.spec.rollout.strategy,
            SearchAttribute.PHASE: Phase.PREPARING,
        }
    )
