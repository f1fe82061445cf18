"""What Temporal's list of workflows can be searched by, as it takes it when one is started."""

from collections.abc import Mapping

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from models.temporal_names import SearchAttribute


def keywords(values: Mapping[SearchAttribute, str]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), str(value)) for name, value in values.items()]
    )
