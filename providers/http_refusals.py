"""What an HTTP client makes of no answer, and of one that is no success."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from models.quantities import format_duration
from providers.errors import ProviderError

_TRY_LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
MOST_DIGITS = 6
"""Of the seconds that somebody asks to be left alone for."""


@asynccontextmanager
async def answered_within(limit: timedelta, source: str, advice: str = "") -> AsyncIterator[None]:
    """Raises ProviderError (retryable) where `source` does not answer in time, or at all. `advice` is how to give it
    more time.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise ProviderError(
            f"{source} does not answer within {format_duration(limit)}; see whether it is overloaded{advice}.",
            retryable=True,
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ProviderError(
            f"{source} does not answer ({str(error) or type(error).__name__}); see whether it runs and whether the "
            "catalog has its right address.",
            retryable=True,
        ) from error


def is_for_later(status: int) -> bool:
    """Whether the same request may be answered otherwise at another time."""
    return status in _TRY_LATER or status >= httpx.codes.INTERNAL_SERVER_ERROR


def wished_pause(retry_after: str, at_most: timedelta) -> timedelta | None:
    """What `Retry-After` asks for in seconds; None where it says nothing of use."""
    if not retry_after.isdecimal() or len(retry_after) > MOST_DIGITS:
        return None
    return min(timedelta(seconds=int(retry_after)), at_most) or None
