"""Running a program to its end, within a time, leaving nothing behind."""

import asyncio
import os
import signal
import tempfile
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from devstack.obtain import WayFailedError, last_lines, seconds
from devstack.tether import tethered


async def run_bounded(
    command: Sequence[str], *, limit: timedelta, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Return what the program printed. `env` is added to this process's own.

    Raises WayFailedError when it cannot start, fails, or takes longer than the limit. It is killed
    then with all it started; it dies also when the caller is cancelled or killed.
    """
    with tempfile.TemporaryFile() as output:  # a pipe might be held open by what it left behind
        process = await asyncio.create_subprocess_exec(
            *tethered(command),
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await process.wait()
        except TimeoutError:
            raise WayFailedError(f"it took longer than {seconds(limit)}") from None
        finally:
            await _end_group(process)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise WayFailedError(last_lines(text))
    return text


async def _end_group(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
