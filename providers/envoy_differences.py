"""What Envoy works by, held against what was asked: None where they agree, else what Envoy shows, in words."""

from models.ids import ServiceRef
from providers.envoy_files import EnvoyFolder
from providers.envoy_names import route_name
from providers.envoy_resources import (
    FULL_WEIGHT,
    ServiceRecord,
    clusters,
    digest_of,
    endpoints,
    has_endpoints_file,
    listener,
    routes,
)
from providers.envoy_shown import InForce, LoadAssignment, RouteConfiguration


def cluster_difference(record: ServiceRecord, files: EnvoyFolder, shown: InForce) -> str | None:
    for wanted, backend in zip(clusters(record, files), record.backends, strict=True):
        name = str(wanted["name"])
        if name not in shown.clusters:
            return f"no cluster {name}"
        if shown.clusters[name].digest != digest_of(wanted):
            return f"other settings for cluster {name}"
        if has_endpoints_file(backend):
            asked = LoadAssignment.model_validate(endpoints(record.ref, backend)).addresses()
            found = shown.endpoints.get(name, LoadAssignment()).addresses()
            if found != asked:
                return f"{', '.join(f'{host}:{port}' for host, port in found) or 'no address'} behind cluster {name}"
    return None


def route_difference(record: ServiceRecord, shown: InForce) -> str | None:
    found = shown.routes.get(route_name(record.ref))
    if found is None:
        return f"no routes for {record.ref}"
    if found.weights() != record.cluster_weights():
        return f"the weights {_in_percent(found)}"
    if found.digests() != RouteConfiguration.model_validate(routes(record)).digests():
        return "the weights asked for, with other settings of the route"
    return None


def listener_difference(record: ServiceRecord, files: EnvoyFolder, shown: InForce) -> str | None:
    found = shown.listeners.get(route_name(record.ref))
    if found is None or found.active_state is None:
        return f"nothing listening on {record.spec.listen} for {record.ref}"
    if found.active_state.listener.digest != digest_of(listener(record, files)):
        return f"another address or other settings of the listener for {record.ref}"
    return None


def difference(record: ServiceRecord, files: EnvoyFolder, shown: InForce) -> str | None:
    return (
        cluster_difference(record, files, shown)
        or route_difference(record, shown)
        or listener_difference(record, files, shown)
    )


def remaining_listener(ref: ServiceRef, shown: InForce) -> str | None:
    """Routes are not asked about: Envoy keeps them while old connections of the listener drain."""
    found = shown.listeners.get(route_name(ref))
    if found and (found.active_state or found.warming_state):
        return f"a listener for {ref}"
    return None


def remaining_clusters(ref: ServiceRef, shown: InForce) -> str | None:
    found = [name for name in sorted(shown.clusters) if name.startswith(f"{route_name(ref)}.")]
    return f"the clusters {' and '.join(found)}" if found else None


def _in_percent(found: RouteConfiguration) -> str:
    weights = found.weights()
    if not weights:
        return "of nothing"
    return ", ".join(f"{name} {weight * 100 / FULL_WEIGHT:g}%" for name, weight in weights.items())
