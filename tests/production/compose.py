"""docker-compose.temporal.yml as Docker Compose itself reads it: by its own loader, compose-go, built once with Go."""

import asyncio
import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ObtainError
from devstack.go_install import go_install, require_go
from devstack.obtain import Say, Way, WayFailedError, cache_folder, obtain, scratch
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = "docker-compose.temporal.yml"
VERSION = "v2.9.0"
_PRODUCT = "compose loader"
_PACKAGE = f"github.com/compose-spec/compose-go/v2/cmd@{VERSION}"
Json = dict[str, Any]


def resolved(folder: Path) -> Json:
    """The file as it is carried out from a fresh clone, made in `folder`, after production/make-secrets."""
    for name in (FILE, "production", "observability", "Dockerfile"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    subprocess.run([folder / "production" / "make-secrets"], check=True, capture_output=True)
    run = subprocess.run([_loader(), "-format", "json", FILE], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: Json = json.loads(run.stdout)
    return found


def loader_says(folder: Path) -> str:
    """What is wrong with the file in this folder; empty when nothing is."""
    run = subprocess.run([_loader(), FILE], cwd=folder, capture_output=True, text=True, check=False)
    return run.stderr if run.returncode else ""


async def find_loader(*, say: Say = print) -> Path:
    """Raises ObtainError."""
    folder = cache_folder(Settings().cache_dir)
    kept = folder / f"compose-go-{VERSION}"
    return await obtain(
        _PRODUCT,
        folder,
        at_hand=[Way("the cache", partial(_cached, kept))],
        to_fetch=[Way(f"go install {_PACKAGE}", partial(_built, folder, kept))],
        advice="Install Go from https://go.dev/dl, with access to a Go module proxy, and run this again.",
        say=say,
    )


def _loader() -> Path:
    try:
        return asyncio.run(find_loader())
    except ObtainError as missing:
        pytest.skip(str(missing))


async def _cached(kept: Path) -> Path:
    if not kept.exists():
        raise WayFailedError("it is not there")
    return kept


async def _built(folder: Path, kept: Path) -> Path:
    await require_go()
    with scratch(folder, _PRODUCT) as into:
        await go_install([_PACKAGE], into)
        return (into / "cmd").rename(kept)
