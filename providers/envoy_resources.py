"""A service's record, rendered as Envoy's clusters, routes and listener.

Each resource carries a digest of its content as metadata, which Envoy's `/config_dump` gives back: so what is in
force can be told from what was written.
"""

import hashlib
import json
from collections.abc import Sequence
from ipaddress import ip_address

from pydantic import JsonValue

from models.base import Payload
from models.ids import Group, ServiceRef, group_words, version_of
from models.quantities import HostPort, host_of, port_of
from models.traffic import Backend, TrafficSpec, TrafficSplit
from providers.envoy_files import EnvoyFolder, JsonObject, file_source, socket_address
from providers.envoy_names import cluster_name, route_name, stat_name
from providers.envoy_shown import Marked
from providers.errors import ProviderError
from providers.fencing import Passed

FULL_WEIGHT = 10_000
"""All of the traffic: a weight of 1 is 0.01%."""

_API = "type.googleapis.com/envoy"
_NO_LIMIT = 1_000_000


class ServiceRecord(Payload):
    """What was last asked for a service; the truth from which Envoy's files are rendered."""

    ref: ServiceRef
    spec: TrafficSpec
    split: TrafficSplit
    backends: tuple[Backend, ...]
    passed: Passed | None = None

    def shares(self) -> dict[Group, int]:
        """Weight per group, in units of 0.01%; together always FULL_WEIGHT. Stable has what others leave."""
        stable, *others = self.split.weights().items()
        shares = {stable[0]: FULL_WEIGHT}
        for group, percent in others:
            share = min(round(percent * FULL_WEIGHT / 100), shares[stable[0]])
            shares[stable[0]] -= share
            shares[group] = shares.get(group, 0) + share
        return shares

    def cluster_weights(self) -> dict[str, int]:
        return {cluster_name(self.ref, group): share for group, share in self.shares().items()}


def make_record(ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]) -> ServiceRecord:
    """Keep the backends that the split names. Raises ProviderError (not retryable) when one is missing."""
    by_version = {backend.version: backend for backend in backends}
    versions = list(split.weights())
    missing = [version for version in versions if not (backend := by_version.get(version)) or not backend.addresses]
    if missing:
        raise ProviderError(
            f"Traffic of {ref} cannot be sent to {' and '.join(map(group_words, missing))}: "
            "no instance of it was named. "
            "Start that version first.",
            retryable=False,
        )
    listen_address(ref, spec)
    return ServiceRecord(ref=ref, spec=spec, split=split, backends=tuple(by_version[version] for version in versions))


def listen_address(ref: ServiceRef, spec: TrafficSpec) -> HostPort:
    """Where Envoy listens. Raises ProviderError for a host name other than localhost: Envoy binds addresses only."""
    host = host_of(spec.listen)
    if host == "localhost":
        return f"127.0.0.1:{port_of(spec.listen)}"
    if not _is_ip(host):
        raise ProviderError(
            f"Envoy cannot listen on {spec.listen} for {ref}: {host} is a name, and it binds IP addresses only. "
            f"Write an address as traffic.listen, like 127.0.0.1:{port_of(spec.listen)}.",
            retryable=False,
        )
    return spec.listen


def discovery_response(resources: Sequence[JsonObject]) -> JsonObject:
    """The content of a file that Envoy watches; its version is the digest of its content."""
    listed: list[JsonValue] = [*resources]
    return {"version_info": _digest({"resources": listed}), "resources": listed}


def clusters(record: ServiceRecord, files: EnvoyFolder) -> list[JsonObject]:
    return [_cluster(record.ref, backend, files) for backend in record.backends]


def endpoints(ref: ServiceRef, backend: Backend) -> JsonObject:
    listed: list[JsonValue] = [{"endpoint": {"address": socket_address(address)}} for address in backend.addresses]
    return {
        "@type": f"{_API}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster_name(ref, backend.version),
        "endpoints": [{"lb_endpoints": listed}],
    }


def has_endpoints_file(backend: Backend) -> bool:
    """Addresses have a file of their own, so that new ones leave the cluster be: Envoy begins a rebuilt cluster's
    latency histogram anew, but not its counters, which a judge would take for requests counted twice.

    Names cannot have one; Envoy resolves only those that stand in the cluster itself.
    """
    return all(_is_ip(host_of(address)) for address in backend.addresses)


def _cluster(ref: ServiceRef, backend: Backend, files: EnvoyFolder) -> JsonObject:
    discovery: JsonObject
    if has_endpoints_file(backend):
        source = file_source(files.endpoints(ref, backend.version))
        discovery = {"type": "EDS", "eds_cluster_config": {"eds_config": source}}
    else:
        assignment = {key: value for key, value in endpoints(ref, backend).items() if key != "@type"}
        discovery = {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED", "load_assignment": assignment}
    content: JsonObject = {
        "@type": f"{_API}.config.cluster.v3.Cluster",
        "name": cluster_name(ref, backend.version),
        "alt_stat_name": stat_name(ref, backend.version),
        **discovery,
        "connect_timeout": "1s",
        # Envoy's defaults (1,024 of each, 3 retries) would answer 503 at a load that nobody said was too much.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _NO_LIMIT,
                    "max_pending_requests": _NO_LIMIT,
                    "max_requests": _NO_LIMIT,
                    "max_retries": _NO_LIMIT,
                }
            ]
        },
        # No outlier detection: ejecting a failing instance would hide from the judge that the version fails.
    }
    return content | {"metadata": _metadata(content)}


def routes(record: ServiceRecord) -> JsonObject:
    weighted: list[JsonValue] = [
        {
            "name": cluster_name(record.ref, group),
            "weight": share,
            "response_headers_to_add": [
                {
                    "header": {"key": "x-holdfast-version", "value": version_of(group)},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        }
        for group, share in record.shares().items()
    ]
    route: JsonObject = {
        "match": {"prefix": "/"},
        "route": {
            "timeout": f"{record.spec.timeout.total_seconds():.6f}s",
            "weighted_clusters": {"clusters": weighted},
            # One more try, at another instance if there is one, where no connection came about: the death of an
            # instance is not felt. A bad version is not hidden: such a request never reached it, and whatever was
            # answered or broken off after that is passed on and counted, 5xx included.
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream",
                "num_retries": 1,
                "retry_host_predicate": [
                    {
                        "name": "previous_hosts",
                        "typed_config": {
                            "@type": f"{_API}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                        },
                    }
                ],
                "host_selection_retry_max_attempts": "3",
            },
        },
    }
    return {
        "@type": f"{_API}.config.route.v3.RouteConfiguration",
        "name": route_name(record.ref),
        "virtual_hosts": [
            {"name": route_name(record.ref), "domains": ["*"], "routes": [route | {"metadata": _metadata(route)}]}
        ],
    }


def listener(record: ServiceRecord, files: EnvoyFolder) -> JsonObject:
    name = route_name(record.ref)
    connection_manager: JsonObject = {
        "@type": f"{_API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_name(record.ref, "all"),
        # Routes in a file of their own: a new weight replaces the routes and leaves listener and connections alone.
        "rds": {"route_config_name": name, "config_source": file_source(files.routes(record.ref))},
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        # Every caller counts as external, so its x-envoy-* headers are dropped: it could ask for retries of 5xx
        # with them, which would hide a bad version.
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_API}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    content: JsonObject = {
        "@type": f"{_API}.config.listener.v3.Listener",
        "name": name,
        "address": socket_address(listen_address(record.ref, record.spec)),
        # With it two programs could share the port unnoticed, each receiving some of the connections.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager}]}
        ],
    }
    return content | {"metadata": _metadata(content)}


def digest_of(resource: JsonObject) -> str:
    """The digest by which Envoy's `/config_dump` shows that this very cluster, listener or route is in force."""
    return Marked.model_validate(resource).digest


def _metadata(content: JsonObject) -> JsonObject:
    return {"filter_metadata": {"holdfast": {"content": _digest(content)}}}


def _digest(content: JsonObject) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
