"""The Temporal server that production runs, and its schema tool, without images: built once per user with Go."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from devstack.bounded_run import run_bounded
from devstack.go_install import go_install, require_go
from devstack.obtain import Say, Way, WayFailedError, cache_folder, obtain, scratch, ticking

PRODUCT = "Temporal server"

VERSION = "1.29.1"
"""The same as in docker-compose.temporal.yml."""

_MODULE = "go.temporal.io/server/cmd"
_BUILT = {"server": "temporal-server", "sql": "temporal-sql-tool"}
_ANSWERS_WITHIN = timedelta(seconds=15)
_ADVICE = "Install Go from https://go.dev/dl, with access to a Go module proxy, and run this again."


@dataclass(frozen=True)
class ProductionServer:
    """`folder` holds both programs under the names that they have in Temporal's images, so that it can go on PATH."""

    folder: Path

    @property
    def server(self) -> Path:
        return self.folder / "temporal-server"

    @property
    def sql_tool(self) -> Path:
        return self.folder / "temporal-sql-tool"


async def find_production_server(*, cache_dir: Path | None, say: Say) -> ProductionServer:
    """Return the two programs, from the cache or a Go build. Raises ObtainError."""
    folder = cache_folder(cache_dir)
    kept = folder / f"temporal-server-go-{VERSION}"
    found = await obtain(
        PRODUCT,
        folder,
        at_hand=[Way(f"the cache in {folder}", partial(_working, kept))],
        to_fetch=[Way(f"go install {_MODULE}/server@v{VERSION}", partial(_built, folder, kept, say))],
        advice=_ADVICE,
        say=say,
    )
    return ProductionServer(found)


async def _built(folder: Path, kept: Path, say: Say) -> Path:
    await require_go()
    with scratch(folder, PRODUCT) as into:
        async with ticking(say, f"Building the {PRODUCT} {VERSION} with Go, once, about 4 minutes"):
            await go_install([f"{_MODULE}/server@v{VERSION}", f"{_MODULE}/tools/sql@v{VERSION}"], into)
        made = into / "programs"
        made.mkdir()
        for built, name in _BUILT.items():
            (into / built).rename(made / name)
        await _working(made)
        shutil.rmtree(kept, ignore_errors=True)  # one that was found not to work
        return made.rename(kept)


async def _working(folder: Path) -> Path:
    """Prove that both run and are of this version."""
    for name in _BUILT.values():
        program = folder / name
        if not program.exists():
            raise WayFailedError(f"holds no {name} {VERSION}")
        printed = await run_bounded([str(program), "--version"], limit=_ANSWERS_WITHIN)
        if VERSION not in printed:
            raise WayFailedError(f"{program} is not of version {VERSION}: it says {printed.strip()!r}")
    return folder
