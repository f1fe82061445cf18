"""The parts of Envoy's `/config_dump` and of its own files that we read.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump_shared.proto
"""

from ipaddress import ip_address

from pydantic import BaseModel, Field


class _Holdfast(BaseModel):
    content: str = ""


class _FilterMetadata(BaseModel):
    holdfast: _Holdfast = _Holdfast()


class _Metadata(BaseModel):
    filter_metadata: _FilterMetadata = _FilterMetadata()


class Marked(BaseModel):
    metadata: _Metadata = _Metadata()

    @property
    def digest(self) -> str:
        """The digest of the content that we wrote; empty for what somebody else wrote."""
        return self.metadata.filter_metadata.holdfast.content


class Cluster(Marked):
    name: str


class Listener(Marked):
    name: str


class _WeightedCluster(BaseModel):
    name: str
    weight: int = 0


class _WeightedClusters(BaseModel):
    clusters: tuple[_WeightedCluster, ...] = ()


class _Action(BaseModel):
    weighted_clusters: _WeightedClusters = _WeightedClusters()


class _Route(Marked):
    route: _Action = _Action()


class _VirtualHost(BaseModel):
    routes: tuple[_Route, ...] = ()


class RouteConfiguration(BaseModel):
    name: str = ""
    virtual_hosts: tuple[_VirtualHost, ...] = ()

    def weights(self) -> dict[str, int]:
        """Weight per cluster."""
        return {
            cluster.name: cluster.weight
            for host in self.virtual_hosts
            for route in host.routes
            for cluster in route.route.weighted_clusters.clusters
        }

    def digests(self) -> list[str]:
        return [route.digest for host in self.virtual_hosts for route in host.routes]


class _SocketAddress(BaseModel):
    address: str = ""
    port_value: int = 0


class _Address(BaseModel):
    socket_address: _SocketAddress = _SocketAddress()


class _Endpoint(BaseModel):
    address: _Address = _Address()


class _LbEndpoint(BaseModel):
    endpoint: _Endpoint = _Endpoint()


class _LocalityEndpoints(BaseModel):
    lb_endpoints: tuple[_LbEndpoint, ...] = ()


class LoadAssignment(BaseModel):
    cluster_name: str = ""
    endpoints: tuple[_LocalityEndpoints, ...] = ()

    def addresses(self) -> list[tuple[str, int]]:
        """IP address and port of each endpoint, sorted; equal addresses are spelt equally."""
        sockets = [
            endpoint.endpoint.address.socket_address for place in self.endpoints for endpoint in place.lb_endpoints
        ]
        return sorted((str(ip_address(socket.address)), socket.port_value) for socket in sockets)


class Rejection(BaseModel):
    """Why Envoy did not take an update, and when it tried: the same moment is the same attempt."""

    details: str = ""
    last_update_attempt: str = ""


class DynamicCluster(BaseModel):
    cluster: Cluster


class DynamicEndpoints(BaseModel):
    endpoint_config: LoadAssignment = LoadAssignment()


class DynamicRoutes(BaseModel):
    route_config: RouteConfiguration = RouteConfiguration()


class _ListenerState(BaseModel):
    listener: Listener


class DynamicListener(BaseModel):
    name: str = ""
    active_state: _ListenerState | None = None
    warming_state: _ListenerState | None = None
    error_state: Rejection | None = None


class ClustersDump(BaseModel):
    configs: tuple[DynamicCluster, ...] = ()


class EndpointsDump(BaseModel):
    configs: tuple[DynamicEndpoints, ...] = ()


class RoutesDump(BaseModel):
    configs: tuple[DynamicRoutes, ...] = ()


class ListenersDump(BaseModel):
    configs: tuple[DynamicListener, ...] = ()


class InForce(BaseModel):
    """What Envoy works by, by name."""

    clusters: dict[str, Cluster] = Field(default_factory=dict)
    endpoints: dict[str, LoadAssignment] = Field(default_factory=dict)
    routes: dict[str, RouteConfiguration] = Field(default_factory=dict)
    listeners: dict[str, DynamicListener] = Field(default_factory=dict)
