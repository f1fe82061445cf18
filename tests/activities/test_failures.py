"""What a provider knows about its error is what Temporal acts on."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.failures import provider_errors
from providers.errors import NotReadyError, ProviderError


def raised_for(error: ProviderError) -> ApplicationError:
    def fail() -> None:
        with provider_errors("process"):
            raise error

    with pytest.raises(ApplicationError) as failure:
        ActivityEnvironment().run(fail)
    return failure.value


def test_a_retryable_error_carries_the_providers_own_wish() -> None:
    failure = raised_for(ProviderError("slow down", retryable=True, retry_after=timedelta(seconds=7)))

    assert not failure.non_retryable
    assert failure.next_retry_delay == timedelta(seconds=7)


def test_what_would_fail_again_is_not_retried() -> None:
    failure = raised_for(NotReadyError("v2-0 did not become ready"))

    assert failure.non_retryable
    assert failure.type == "NotReadyError"
    assert failure.message == "v2-0 did not become ready"
