"""The Temporal SDK's own download, as a program of its own, since only a process can be ended in the middle of it.

`python -m devstack.sdk_download (dev-server|test-server) <folder>` leaves one file in the folder.
"""

import asyncio
import os
import sys
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NoReturn

from temporalio.testing import WorkflowEnvironment

from devstack.bounded_run import run_bounded
from devstack.obtain import WayFailedError

Program = Literal["dev-server", "test-server"]

_LIMIT = timedelta(minutes=2)
"""Some 30 MB: enough for a slow line, and not an hour for one that swallows packets."""


def sdk_version() -> str:
    return version("temporalio")


async def download_by_sdk(program: Program, folder: Path) -> Path:
    """Download what this version of the SDK calls its default. Raises WayFailedError."""
    await run_bounded([sys.executable, "-m", "devstack.sdk_download", program, str(folder)], limit=_LIMIT)
    return _only_file(folder)


def _only_file(folder: Path) -> Path:
    files = [file for file in folder.iterdir() if file.is_file()]
    if len(files) != 1:
        raise WayFailedError(f"it left {len(files)} files where one was expected")
    return files[0]


async def _download(program: Program, folder: str) -> None:
    """Start what is downloaded once: a program that does not run is none."""
    if program == "dev-server":
        environment = await WorkflowEnvironment.start_local(download_dest_dir=folder)
    else:
        environment = await WorkflowEnvironment.start_time_skipping(download_dest_dir=folder)
    await environment.shutdown()


def main(program: str, folder: str) -> NoReturn:
    """Leave without the interpreter's shutdown, which the SDK's core may abort (temporalio/sdk-python issue 300): then
    neither the exit code nor the reason would be right.
    """
    code = 0
    try:
        asyncio.run(_download("dev-server" if program == "dev-server" else "test-server", folder))
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        code = 1
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
