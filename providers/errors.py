"""What a provider raises.

ProviderError            something outside did not do what was asked
└── NotReadyError        a version's instances did not become ready (not retryable: it would fail again)
"""

from datetime import timedelta


class ProviderError(Exception):
    """A sentence for the person who must act: what happened, to what, and what to do.

    `retryable` says what the provider knows: whether the same call may succeed later. `retry_after` is the
    provider's own wish, where it has one.
    """

    def __init__(self, message: str, *, retryable: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class NotReadyError(ProviderError):
    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)
