"""The folder through which Envoy is configured: a bootstrap, and files that Envoy re-reads when they are renamed over.

bootstrap.json           what Envoy is started with
cds.json                 clusters: one per service and version
lds.json                 listeners: one per service
endpoints/<s>/<v>.json   the addresses of one version
routes/<s>.json          the routes of one service; Envoy takes exactly one route configuration from a file
services/<s>.json        our own record, from which all of the above is rendered
.lock                    held while files are written, as rollouts of different services share them

https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/xds_api
"""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from models.ids import Group, ServiceRef
from models.quantities import HostPort, host_of, port_of
from providers.durable_files import replace_durably
from providers.envoy_names import route_name
from providers.errors import ProviderError
from providers.inotify import require_room

JsonObject = dict[str, JsonValue]

_LOCK_PATIENCE = 10.0
_LOCK_POLL = 0.005

# Fine enough below a second that a threshold of, say, 300 ms is judged by buckets near it; Envoy's own are not.
LATENCY_BOUNDS_MS: tuple[float, ...] = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600, 750),
    *(1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 60000),
)


@dataclass(frozen=True)
class EnvoyFolder:
    """Where each file is. `root` is absolute, as Envoy is told these paths."""

    root: Path

    @property
    def clusters(self) -> Path:
        return self.root / "cds.json"

    @property
    def listeners(self) -> Path:
        return self.root / "lds.json"

    def endpoints(self, ref: ServiceRef, version: Group) -> Path:
        return self.root / "endpoints" / route_name(ref) / f"{version}.json"

    def routes(self, ref: ServiceRef) -> Path:
        return self.root / "routes" / f"{route_name(ref)}.json"

    def record(self, ref: ServiceRef) -> Path:
        return self.root / "services" / f"{route_name(ref)}.json"

    def watched(self) -> Iterator[Path]:
        """The files there are, or will be, that Envoy watches."""
        yield from (self.clusters, self.listeners)
        yield from self.root.glob("routes/*.json")
        yield from self.root.glob("endpoints/*/*.json")


MAX_CONNECTIONS = 50_000
"""Of all callers together: a limit far above one host's use, so that a flood ends before the host's memory does."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other threads and processes. Blocks: to be used in a thread, for milliseconds.

    Raises ProviderError (retryable) when another holder does not let go. A holder that dies lets go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _LOCK_PATIENCE
    with (folder / ".lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ProviderError(
                        f"Another process has held {folder / '.lock'} for {_LOCK_PATIENCE:.0f} s; "
                        "`fuser` on that file names it. End it if it hangs.",
                        retryable=True,
                    ) from None
                time.sleep(_LOCK_POLL)
        yield


def write_atomically(path: Path, content: JsonObject, *, again: bool = False) -> None:
    """Replace the file as a whole, durably; Envoy and a crash see the old or the new, never a part.

    The same content is not written twice, unless `again`: the rename is what makes Envoy try anew.
    """
    text = json.dumps(content, indent=1) + "\n"
    if not again and _read_or_none(path) == text:
        return
    replace_durably(path, text)


def write_bootstrap(folder: Path, admin: HostPort) -> Path:
    """Write what Envoy is started with (`envoy -c <the path returned>`), and empty lists of clusters and listeners
    where there are none yet. Existing lists stay: Envoy serves at once what it served before.

    Blocks for milliseconds. Raises ProviderError when the folder's lock cannot be had, and when Envoy could not watch
    all its files.
    """
    folder = folder.resolve()
    with locked(folder):
        files = EnvoyFolder(folder)
        require_room(sum(1 for _ in files.watched()))
        for path in (files.clusters, files.listeners):
            if not path.exists():
                write_atomically(path, {"version_info": "empty", "resources": []})
        write_atomically(folder / "bootstrap.json", _bootstrap(files, admin))
    return folder / "bootstrap.json"


def socket_address(address: HostPort) -> JsonObject:
    """Envoy's form of `host:port`; brackets around IPv6 are dropped."""
    return {"socket_address": {"address": host_of(address).strip("[]"), "port_value": port_of(address)}}


def file_source(path: Path) -> JsonObject:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _bootstrap(files: EnvoyFolder, admin: HostPort) -> JsonObject:
    return {
        "node": {"id": "holdfast", "cluster": "holdfast"},
        "admin": {"address": socket_address(admin)},
        "dynamic_resources": {
            "cds_config": file_source(files.clusters),
            "lds_config": file_source(files.listeners),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
                        ".downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": MAX_CONNECTIONS,
                    },
                }
            ]
        },
        # Envoy merges its threads' histograms only at a flush, and a canary is judged every second.
        "stats_flush_interval": "0.5s",
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCY_BOUNDS_MS)},
            ],
        },
    }


def _read_or_none(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
