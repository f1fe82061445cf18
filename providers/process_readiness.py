"""Waiting until an instance answers, and saying what it last did when it does not."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from models.deployment import HttpReadiness
from models.quantities import HostPort, format_duration
from providers.errors import NotReadyError

_EVERY_SECONDS = 0.1
_TAIL_LINES = 10
_TAIL_BYTES = 4096


class ExitedError(Exception):
    """The instance ended before it was ready."""


async def wait_until_ready(
    client: httpx.AsyncClient,
    name: str,
    address: HostPort,
    readiness: HttpReadiness,
    log: Path,
    is_alive: Callable[[], bool],
) -> None:
    """Return once GET `path` answers 2xx. Raises ExitedError, or NotReadyError after `readiness.timeout`."""
    deadline = time.monotonic() + readiness.timeout.total_seconds()
    url = f"http://{address}{readiness.path}"
    while True:
        answer = await _ask(client, url)
        if answer is None:
            return
        if not is_alive():
            raise ExitedError
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"{name} did not become ready within {format_duration(readiness.timeout)}: "
                f"GET {url} {answer}.{last_lines(log)}"
            )
        await asyncio.sleep(_EVERY_SECONDS)


async def _ask(client: httpx.AsyncClient, url: str) -> str | None:
    """What was wrong with the answer, or None when it was 2xx."""
    try:
        response = await client.get(url)
    except httpx.TimeoutException:
        return "was not answered in time"
    except httpx.HTTPError as error:
        return f"failed ({str(error) or type(error).__name__})"
    return None if response.is_success else f"answered {response.status_code}"


def last_lines(log: Path) -> str:
    """The end of an instance's log as a sentence to append to an error."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = handle.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    said = "".join(f"\n    {line}" for line in lines)
    return f" Its log ({log}) ends:{said}" if said else f" Its log ({log}) is empty."
