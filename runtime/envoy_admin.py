"""Where Envoy's admin interface is, by the settings."""

from models.quantities import HostPort
from runtime.settings import Settings


class EnvoyUnknownError(Exception):
    """Where Envoy's admin interface is, is not known; the sentence says what to set."""


def envoy_admin(settings: Settings) -> HostPort:
    """Raises EnvoyUnknownError."""
    if settings.envoy_admin:
        return settings.envoy_admin
    if not settings.envoy_admin_port:
        raise EnvoyUnknownError(
            "Envoy's admin interface is not known, as HOLDFAST_ENVOY_ADMIN_PORT is 0. "
            "Set HOLDFAST_ENVOY_ADMIN to its address, like 127.0.0.1:19901."
        )
    return f"127.0.0.1:{settings.envoy_admin_port}"
