"""How each kind of undo is carried out."""

from collections.abc import Mapping
from typing import assert_never

from models.keeper_ledger import ReturnTraffic, Undo
from providers.errors import ProviderError
from providers.roles import TrafficRouter


class Undoing:
    """Routers by the provider's name in the catalog."""

    def __init__(self, routers: Mapping[str, TrafficRouter]) -> None:
        self._routers = routers

    async def carry_out(self, undo: Undo) -> None:
        """Return once it is in force. Raises ProviderError or OSError; to be repeated until it does not."""
        match undo:
            case ReturnTraffic(ref=ref, spec=spec, split=split, backends=backends):
                await self._routers[spec.provider].give_back(ref, spec, split, backends)
            case _:
                assert_never(undo)

    async def holds(self, undo: Undo) -> bool:
        """Whether what was carried out still is as it was left. No where that cannot be seen."""
        match undo:
            case ReturnTraffic(ref=ref, spec=spec, split=split):
                try:
                    return await self._routers[spec.provider].current(ref, spec) == split
                except ProviderError:
                    return False
            case _:
                assert_never(undo)
