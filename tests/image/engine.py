"""Debian's Docker engine, started by hand for a test, with a base image made here: none can be pulled."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from devstack.bounded_run import run_bounded
from devstack.obtain import Way, WayFailedError, cache_folder, obtain, scratch
from devstack.tether import tethered
from runtime.settings import Settings

ROOT = Path(__file__).parents[2]
BASE = "holdfast-base:local"
RELEASE = "bookworm"
"""Its Python is 3.11, as in the image that the Dockerfile names."""

_NEEDED = {"dockerd": "docker.io", "docker": "docker.io", "debootstrap": "debootstrap"}
_PACKAGES = "python3,python3-venv,ca-certificates"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP = Path("/etc/pip.conf")
_SERVES_WITHIN = 60.0
_LIMIT = timedelta(minutes=10)


class Engine:
    def __init__(self, folder: Path) -> None:
        self._socket = folder / "docker.sock"
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{self._socket}", "DOCKER_BUILDKIT": "0"}

    def docker(
        self, *words: str, timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["docker", *words], env={**self.env, **(env or {})}, cwd=ROOT, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def must(self, *words: str, timeout: float = 60) -> str:
        run = self.docker(*words, timeout=timeout)
        assert run.returncode == 0, f"docker {' '.join(words)}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
        return run.stdout.strip()


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine without a network of its own; containers are given the host's. Nothing of it is left behind."""
    for program, package in _NEEDED.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; `apt-get install {package}` brings it")
    if os.geteuid() != 0:
        pytest.skip("Docker's engine is started by root only")
    folder = Path(tempfile.mkdtemp(prefix="holdfast-docker-"))
    engine = Engine(folder)
    command = [
        "dockerd", "--host", engine.env["DOCKER_HOST"], "--data-root", str(folder / "data"),
        "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"),
        "--iptables=false", "--ip6tables=false", "--bridge=none",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(tethered(command), stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + _SERVES_WITHIN
        while engine.docker("version").returncode != 0:
            assert daemon.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.2)
        yield engine
    finally:
        _end(engine, daemon, folder)


def _end(engine: Engine, daemon: "subprocess.Popen[bytes]", folder: Path) -> None:
    if daemon.poll() is None:
        containers = engine.docker("ps", "--all", "--quiet").stdout.split()
        if containers:
            engine.docker("rm", "--force", *containers)
        daemon.terminate()
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in sorted((each for each in mounted if each.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def import_base(engine: Engine) -> None:
    """Give the engine a small Debian with Python, which reaches the package index the way this machine does."""
    with _base_tree().open("rb") as tree:
        subprocess.run(["docker", "import", "-", BASE], stdin=tree, env=engine.env, check=True, capture_output=True)


def _base_tree() -> Path:
    folder = cache_folder(Settings().cache_dir)
    kept = folder / f"image-base-{RELEASE}.tar"
    return asyncio.run(
        obtain(
            "base image",
            folder,
            at_hand=[Way("the cache", partial(_cached, kept))],
            to_fetch=[Way("debootstrap", partial(_bootstrapped, folder, kept))],
            advice="Run `apt-get update`, and look at what debootstrap says.",
            say=print,
        )
    )


async def _cached(kept: Path) -> Path:
    if not kept.exists():
        raise WayFailedError("it is not there")
    return kept


async def _bootstrapped(folder: Path, kept: Path) -> Path:
    with scratch(folder, "base image") as into:
        tree = into / "tree"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", RELEASE, str(tree)]
        await run_bounded(command, limit=_LIMIT)
        for file in (_AUTHORITIES, _PIP):
            if file.exists():
                shutil.copy(file, tree / file.relative_to("/"))
        shutil.rmtree(tree / "var" / "cache" / "apt")
        packed = into / "base.tar"
        await run_bounded(["tar", "-C", str(tree), "-cf", str(packed), "."], limit=_LIMIT)
        return packed.rename(kept)
