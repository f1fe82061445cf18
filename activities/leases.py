"""What the keeper is told: what to undo when nobody renews it, and what not to undo any more.

They run on the queue of the host whose ledger it is, beside what the leases are for.
"""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.failures import provider_errors
from models.keeper import LeaseKey, LeaseStanding
from models.keeper_ledger import Lease
from providers.roles import LeaseKeeper


class LeaseActivities:
    """Idempotent: a repeated call is answered as the first one was, whatever happened to it."""

    def __init__(self, keeper: LeaseKeeper) -> None:
        self._keeper = keeper

    @property
    def registered(self) -> list[Callable[..., Any]]:
        return [self.arm, self.renew, self.settle]

    @activity.defn(name="lease.arm")
    async def arm(self, lease: Lease) -> LeaseStanding:
        with provider_errors("keeper"):
            return await self._keeper.arm(lease)

    @activity.defn(name="lease.renew")
    async def renew(self, lease: LeaseKey) -> LeaseStanding:
        with provider_errors("keeper"):
            return await self._keeper.renew(lease)

    @activity.defn(name="lease.settle")
    async def settle(self, lease: LeaseKey) -> LeaseStanding:
        with provider_errors("keeper"):
            return await self._keeper.settle(lease)
