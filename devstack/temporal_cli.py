"""The Temporal CLI, which contains the dev server: found, or obtained once per user."""

import re
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

from devstack.bounded_run import run_bounded
from devstack.errors import ObtainError
from devstack.go_install import go_install, require_go
from devstack.obtain import Say, Way, WayFailedError, cache_folder, obtain, scratch, ticking
from devstack.sdk_download import download_by_sdk, sdk_version

PRODUCT = "Temporal CLI"

GO_VERSION = "v1.5.1"
"""Newer tags carry a `replace` in their go.mod, which `go install` refuses."""

_GO_PACKAGE = f"github.com/temporalio/cli/cmd/temporal@{GO_VERSION}"
_OLDEST_SERVER = (1, 28)
"""The first with update-with-start, which leases need."""

_VERSION_LIMIT = timedelta(seconds=15)
_ADVICE = (
    "Install it from https://docs.temporal.io/cli and run this again, "
    "or set HOLDFAST_TEMPORAL_CLI to the program, or HOLDFAST_TEMPORAL_ADDRESS to a server that exists."
)


async def find_temporal_cli(*, configured: Path | None, cache_dir: Path | None, say: Say) -> Path:
    """Return a `temporal` that runs: the configured one, else from PATH, the cache, a download, or a Go build.

    A configured one that does not run is an error, as another would not be what was asked for. Raises ObtainError.
    """
    if configured is not None:
        return await _configured(configured)
    folder = cache_folder(cache_dir)
    return await obtain(
        PRODUCT,
        folder,
        at_hand=[
            Way("HOLDFAST_TEMPORAL_CLI", _unset),
            Way("`temporal` on PATH", _on_path),
            Way(f"the cache in {folder}", partial(_cached, folder)),
        ],
        to_fetch=[
            Way("download by the Temporal SDK", partial(_downloaded, folder, say)),
            Way(f"go install {_GO_PACKAGE}", partial(_built, folder, say)),
        ],
        advice=_ADVICE,
        say=say,
    )


async def _configured(path: Path) -> Path:
    try:
        return await _working(_absolute(path))
    except WayFailedError as reason:
        raise ObtainError(
            f"HOLDFAST_TEMPORAL_CLI is {path}, which cannot be used: {reason}. "
            "Correct it, or unset it to have one found."
        ) from reason


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


async def _unset() -> Path:
    raise WayFailedError("not set")


async def _on_path() -> Path:
    found = shutil.which("temporal")
    if found is None:
        raise WayFailedError("not found")
    return await _working(_absolute(Path(found)))


def _sdk_target(folder: Path) -> Path:
    return folder / f"temporal-sdk-{sdk_version()}"


def _go_target(folder: Path) -> Path:
    return folder / f"temporal-go-{GO_VERSION}"


async def _cached(folder: Path) -> Path:
    kept = [target for target in (_sdk_target(folder), _go_target(folder)) if target.exists()]
    if not kept:
        raise WayFailedError("holds none of the versions sought")
    return await _working(kept[0])


async def _downloaded(folder: Path, say: Say) -> Path:
    with scratch(folder, PRODUCT) as into:
        async with ticking(say, f"Downloading the {PRODUCT} by the Temporal SDK"):
            program = await download_by_sdk("dev-server", into)
            await _working(program)
        return program.replace(_sdk_target(folder))


async def _built(folder: Path, say: Say) -> Path:
    await require_go()
    with scratch(folder, PRODUCT) as into:
        async with ticking(say, f"Building the {PRODUCT} {GO_VERSION} with Go, once, about 3 minutes"):
            await go_install([_GO_PACKAGE], into)
            program = await _working(into / "temporal")
        return program.replace(_go_target(folder))


async def _working(program: Path) -> Path:
    """Prove that it runs and is new enough."""
    printed = await run_bounded([str(program), "--version"], limit=_VERSION_LIMIT)
    match = re.search(r"temporal version .*\(Server (\d+)\.(\d+)", printed)
    if not match:
        raise WayFailedError(f"{program} does not answer --version as the Temporal CLI does")
    if (int(match[1]), int(match[2])) < _OLDEST_SERVER:
        oldest = ".".join(map(str, _OLDEST_SERVER))
        raise WayFailedError(f"the server in {program} is {match[1]}.{match[2]}, and {oldest} or newer is needed")
    return program
