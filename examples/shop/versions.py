"""How each version of the shop behaves. An unknown one behaves well."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Behaviour:
    """What is wrong with a version, if anything. `latency` is added to every answer that a customer sees.

    With `cold`, an instance fails only for so long after its start.
    """

    summary: str = "healthy"
    features: tuple[str, ...] = ()
    error_share: float = 0.0
    cold: timedelta | None = None
    latency: timedelta = timedelta(0)
    crashes_at_start: bool = False
    crashes_after: timedelta | None = None
    leaks_memory: bool = False
    becomes_ready: bool = True


_COLD = timedelta(seconds=30)

BEHAVIOURS = {
    "v1": Behaviour(),
    "v2": Behaviour(summary="healthy, and recommends products", features=("recommendations",)),
    "v3": Behaviour(summary="answers every fifth customer with an error", error_share=0.2),
    "v4": Behaviour(summary="slow", latency=timedelta(milliseconds=400)),
    "v5": Behaviour(summary="crashes at start", crashes_at_start=True),
    "v6": Behaviour(summary="crashes after half a minute", crashes_after=timedelta(seconds=30)),
    "v7": Behaviour(summary="leaks 1 MiB of memory per request, up to 256 MiB", leaks_memory=True),
    "v8": Behaviour(summary="never becomes ready", becomes_ready=False),
    "v9": Behaviour(summary="answers every second customer with an error", error_share=0.5),
    "v10": Behaviour(
        summary="answers every fifth customer with an error until it is warm", error_share=0.2, cold=_COLD
    ),
    "v11": Behaviour(
        summary="like v10, and recommends products", features=("recommendations",), error_share=0.2, cold=_COLD
    ),
}


def behaviour_of(version: str) -> Behaviour:
    return BEHAVIOURS.get(version, Behaviour())
