"""Envoy's admin interface: whether it is ready, what configuration is in force, its counters.

https://www.envoyproxy.io/docs/envoy/latest/operations/admin
"""

from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from models.quantities import HostPort
from providers.envoy_shown import ClustersDump, EndpointsDump, InForce, ListenersDump, RoutesDump
from providers.errors import ProviderError

_TIMEOUTS = httpx.Timeout(3.0, connect=1.0)

_Dump = TypeVar("_Dump", bound=BaseModel)


class EnvoyUnreachableError(ProviderError):
    """Envoy does not answer at all."""


class EnvoyAdmin:
    """Every method raises ProviderError (retryable), EnvoyUnreachableError when there is no answer."""

    def __init__(self, admin: HostPort) -> None:
        self._admin = admin
        # Without `trust_env` a proxy of the environment would be asked for what is on this machine.
        self._http = httpx.AsyncClient(base_url=f"http://{admin}", timeout=_TIMEOUTS, trust_env=False)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def prove_ready(self) -> None:
        self._expect_success(await self._ask("/ready", {}))

    async def in_force(self) -> InForce:
        """The configuration that Envoy works by. The parts are read one after the other."""
        clusters = await self._dump("dynamic_active_clusters", ClustersDump)
        endpoints = await self._dump("dynamic_endpoint_configs", EndpointsDump, include_eds="true")
        routes = await self._dump("dynamic_route_configs", RoutesDump)
        listeners = await self._dump("dynamic_listeners", ListenersDump)
        return InForce(
            clusters={shown.cluster.name: shown.cluster for shown in clusters.configs},
            endpoints={shown.endpoint_config.cluster_name: shown.endpoint_config for shown in endpoints.configs},
            routes={shown.route_config.name: shown.route_config for shown in routes.configs},
            listeners={shown.name: shown for shown in listeners.configs},
        )

    async def prometheus(self, names: str) -> str:
        """Statistics in Prometheus' text format, without those that were never set since Envoy began: with them it
        takes three times as long. `names` is a regular expression on Envoy's own names of them.
        """
        return self._expect_success(await self._ask("/stats/prometheus", {"filter": names, "usedonly": ""}))

    async def _dump(self, resource: str, model: type[_Dump], **query: str) -> _Dump:
        answer = await self._ask("/config_dump", {"resource": resource, **query})
        if answer.status_code == httpx.codes.NOT_FOUND and "not found in config dump" in answer.text:
            return model()  # so it says until there is the first one of the kind
        try:
            return model.model_validate_json(self._expect_success(answer))
        except ValidationError as error:
            raise not_envoy(self._admin, str(error)) from error

    def _expect_success(self, answer: httpx.Response) -> str:
        if not answer.is_success:
            raise ProviderError(
                f"Envoy's admin interface at {self._admin} answers {answer.status_code} to {answer.url.path}: "
                f"{answer.text.strip()[:200] or 'nothing more'}. It may still be starting.",
                retryable=True,
            )
        return answer.text

    async def _ask(self, path: str, query: dict[str, str]) -> httpx.Response:
        try:
            return await self._http.get(path, params=query)
        except httpx.TransportError as error:
            raise EnvoyUnreachableError(
                f"Envoy's admin interface at {self._admin} does not answer ({str(error) or type(error).__name__}); "
                "start it with `holdfast up`, or set HOLDFAST_ENVOY_ADMIN to where it is.",
                retryable=True,
            ) from error


def not_envoy(admin: HostPort, found: str) -> ProviderError:
    return ProviderError(
        f"What answers at {admin} does not speak like Envoy's admin interface ({found[:300]}); "
        "check HOLDFAST_ENVOY_ADMIN.",
        retryable=True,
    )
