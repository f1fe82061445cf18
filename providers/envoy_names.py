"""What Envoy calls our things. Names and stat names come from here alone, so that router and metrics agree."""

import re

from models.ids import Group, ServiceRef

_NEEDS_ESCAPE = re.compile(r"[^A-Za-z0-9-]")


def route_name(ref: ServiceRef) -> str:
    """Names the service's listener, its route configuration and the files about it."""
    return f"{ref.environment}.{ref.service}"


def cluster_name(ref: ServiceRef, version: Group) -> str:
    """Environments and services contain no dot, so a name belongs to one service and version only."""
    return f"{route_name(ref)}.{version}"


def stat_name(ref: ServiceRef, version: Group) -> str:
    """The cluster's name in Envoy's statistics, where a dot would end it.

    What is neither letter, digit nor hyphen becomes `_` and two hexadecimal digits, so `__` only ever separates parts.
    """
    escaped = _NEEDS_ESCAPE.sub(lambda match: f"_{ord(match[0]):02x}", version)
    return f"{ref.environment}__{ref.service}__{escaped}"
