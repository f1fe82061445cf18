"""Building a program with Go."""

import re
import shutil
from datetime import timedelta
from pathlib import Path

from devstack.bounded_run import run_bounded
from devstack.obtain import WayFailedError

_LIMIT = timedelta(minutes=15)
_OLDEST = (1, 24)
_ANSWERS_WITHIN = timedelta(seconds=15)


async def go_install(packages: list[str], into: Path) -> None:
    """Build these packages, `module/path@version` and all of one module, into a folder. `require_go` comes first.

    Raises WayFailedError.
    """
    # GOOS and GOARCH of another machine would build for that one, and GOBIN is then refused.
    settings = {"GOBIN": str(into), "GOFLAGS": "-buildvcs=false", "GOOS": "", "GOARCH": ""}
    await run_bounded(["go", "install", *packages], limit=_LIMIT, cwd=into, env=settings)


async def require_go() -> None:
    """Raises WayFailedError when there is no Go, or an old one. Asked first, as to build is announced."""
    oldest = ".".join(map(str, _OLDEST))
    if shutil.which("go") is None:
        raise WayFailedError(f"Go is not installed; {oldest} or newer is needed")
    printed = await run_bounded(["go", "version"], limit=_ANSWERS_WITHIN)
    match = re.search(r"go(\d+)\.(\d+)", printed)
    if not match or (int(match[1]), int(match[2])) < _OLDEST:
        raise WayFailedError(f"Go {oldest} or newer is needed, and this is {printed.strip()}")
