"""The one place where a provider's error becomes what Temporal acts on."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from activities.metrics import provider_failed
from providers.errors import ProviderError


@contextmanager
def provider_errors(provider: str) -> Iterator[None]:
    """Raise a ProviderError as an ApplicationError that says whether, and when, to try again, and count it.

    `provider` is its name in the catalog.
    """
    try:
        yield
    except ProviderError as error:
        provider_failed(provider, type(error).__name__, retryable=error.retryable)
        raise ApplicationError(
            str(error),
            type=type(error).__name__,
            non_retryable=not error.retryable,
            next_retry_delay=error.retry_after,
        ) from error
