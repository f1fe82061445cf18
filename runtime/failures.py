"""Failures short enough for Temporal to show.

Its server keeps an activity's last failure while it is retried, up to 4 KB
(`limit.mutableStateActivityFailureSize.error`). Of a longer one it keeps "Failure exceeds size limit" only, and nobody
learns what a rollout waits for.
"""

from types import TracebackType

from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    FailureConverter,
    PayloadConverter,
)

LIMIT = 3000
"""Bytes of one failure with its causes, before encryption, which adds about 150 for each of them."""

_FRAMES = 4


class _Brief(FailureConverter):
    """Keeps the innermost frames, and of the causes those nearest to it. Logs and Sentry have all of them."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        whole = exception.__traceback__
        exception.__traceback__ = _innermost(whole)
        try:
            super().to_failure(exception, payload_converter, failure)  # type: ignore[safe-super]
        finally:
            exception.__traceback__ = whole
        while failure.ByteSize() > LIMIT and failure.HasField("cause"):
            _drop_deepest_cause(failure)


class BriefFailureConverter(_Brief, DefaultFailureConverter):
    pass


class BriefEncodedFailureConverter(_Brief, DefaultFailureConverterWithEncodedAttributes):
    """Moves messages and stack traces to where a codec encrypts them."""


def _innermost(trace: TracebackType | None) -> TracebackType | None:
    frames = []
    while trace:
        frames.append(trace)
        trace = trace.tb_next
    return frames[-_FRAMES:][0] if frames else None


def _drop_deepest_cause(failure: Failure) -> None:
    while failure.cause.HasField("cause"):
        failure = failure.cause
    failure.ClearField("cause")
