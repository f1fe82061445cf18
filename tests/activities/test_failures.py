"""What a provider knows about its error is what Temporal acts on."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import provider_errors
from providers.errors import NotReadyError, ProviderError


def test_a_retryable_error_carries_the_providers_own_wish() -> None:
    with pytest.raises(ApplicationError) as failure, provider_errors():
        raise ProviderError("slow down", retryable=True, retry_after=timedelta(seconds=7))

    assert not failure.value.non_retryable
    assert failure.value.next_retry_delay == timedelta(seconds=7)


def test_what_would_fail_again_is_not_retried() -> None:
    with pytest.raises(ApplicationError) as failure, provider_errors():
        raise NotReadyError("v2-0 did not become ready")

    assert failure.value.non_retryable
    assert failure.value.type == "NotReadyError"
    assert failure.value.message == "v2-0 did not become ready"
