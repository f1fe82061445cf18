"""Traffic split by Envoy, told by files that it re-reads when they are renamed over.

No control plane has to run: what is written stays in force while nothing of Holdfast lives, and an Envoy that
starts again serves it at once.
https://www.envoyproxy.io/docs/envoy/latest/start/quick-start/configuration-dynamic-filesystem
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from models.fence import Fence
from models.ids import Group, ServiceRef
from models.quantities import HostPort
from models.traffic import Backend, TrafficSpec, TrafficSplit
from providers.envoy_admin import EnvoyAdmin, EnvoyUnreachableError
from providers.envoy_differences import cluster_difference, difference, remaining_clusters, remaining_listener
from providers.envoy_files import EnvoyFolder
from providers.envoy_names import route_name
from providers.envoy_resources import ServiceRecord, make_record
from providers.envoy_shown import InForce, Rejection
from providers.envoy_store import EnvoyStore
from providers.errors import ProviderError

_PATIENCE = 5.0
_POLL = 0.05


class EnvoyRouter:
    """A TrafficRouter. `folder` is the one given to `write_bootstrap`; several processes may share it.

    Clusters come first and are confirmed, then the routes to them, then clusters without a route go: no request ever
    meets a route that leads nowhere. A weight is exact to 0.01%.

    Raises ProviderError: retryable when Envoy does not answer or does not show what was asked within 5 s, not
    retryable when it refuses (an address that is taken) or when what is asked cannot be done. What was asked is on
    disk before Envoy is waited for, so an Envoy that was down serves it as soon as it starts.
    """

    def __init__(self, folder: Path, admin: HostPort) -> None:
        self._files = EnvoyFolder(folder.resolve())
        self._store = EnvoyStore(self._files)
        self._admin = EnvoyAdmin(admin)

    async def aclose(self) -> None:
        await self._admin.aclose()

    async def current(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,  # noqa: ARG002 - the role's signature; our own record knows the rest
    ) -> TrafficSplit | None:
        await self._admin.prove_ready()
        record = await asyncio.to_thread(self._store.read, ref)
        return record.split if record else None

    async def apply(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,
        split: TrafficSplit,
        backends: Sequence[Backend],
        fence: Fence | None = None,
    ) -> None:
        await self._put_in_force(make_record(ref, spec, split, backends), keep_addresses=False, fence=fence)

    async def give_back(
        self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]
    ) -> None:
        await self._put_in_force(make_record(ref, spec, split, backends), keep_addresses=True)

    async def _put_in_force(self, wanted: ServiceRecord, *, keep_addresses: bool, fence: Fence | None = None) -> None:
        ref, record = wanted.ref, wanted
        before = await self._in_force_or_none()
        again = before is None or difference(record, self._files, before) is not None
        refused = _refusal(ref, before)
        record = await asyncio.to_thread(
            self._store.put, wanted, again=again, keep_addresses=keep_addresses, fence=fence
        )
        try:
            await self._until(ref, lambda shown: cluster_difference(record, self._files, shown))
            await asyncio.to_thread(self._store.lead, record, again=again)
            await self._until(
                ref,
                lambda shown: difference(record, self._files, shown),
                refuses=lambda shown: _raise_if_refused(ref, record.spec, refused, _refusal(ref, shown)),
            )
        except EnvoyUnreachableError as error:
            await asyncio.to_thread(self._store.lead, record, again=again)
            raise EnvoyUnreachableError(
                f"{error} What was asked for {ref} is written down; Envoy serves it once it runs.", retryable=True
            ) from error
        await asyncio.to_thread(self._store.prune)

    async def remove(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,  # noqa: ARG002 - the role's signature; our own record knows the rest
    ) -> None:
        before = await self._in_force_or_none()
        again = before is None or bool(remaining_listener(ref, before) or remaining_clusters(ref, before))
        await asyncio.to_thread(self._store.forget, ref, again=again)
        try:
            await self._until(ref, lambda shown: remaining_listener(ref, shown))
            await asyncio.to_thread(self._store.sweep, ref, again=again)
            await self._until(ref, lambda shown: remaining_clusters(ref, shown))
        except EnvoyUnreachableError as error:
            await asyncio.to_thread(self._store.sweep, ref, again=again)
            raise EnvoyUnreachableError(
                f"{error} {ref} is taken off its list; Envoy no longer routes it once it runs.", retryable=True
            ) from error

    async def refresh(self, ref: ServiceRef, version: Group, addresses: Sequence[HostPort]) -> None:
        """Give a version's new addresses to Envoy, without asking Envoy: it may be down, as when a stack starts.

        Does nothing for a service that has no traffic. The split stays as it was last asked for.
        """
        await asyncio.to_thread(self._store.repoint, ref, version, addresses)

    async def _in_force_or_none(self) -> InForce | None:
        try:
            return await self._admin.in_force()
        except EnvoyUnreachableError:
            return None

    async def _until(
        self,
        ref: ServiceRef,
        differs: Callable[[InForce], str | None],
        refuses: Callable[[InForce], None] = lambda _: None,
    ) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            shown = await self._admin.in_force()
            found = differs(shown)
            if found is None:
                return
            refuses(shown)
            if time.monotonic() > deadline:
                raise ProviderError(
                    f"Envoy did not take up what was asked for {ref} within {_PATIENCE:g} s: it shows {found}. "
                    "Its log says why if it refused; otherwise it is overloaded or reads another folder.",
                    retryable=True,
                )
            await asyncio.sleep(_POLL)


def _refusal(ref: ServiceRef, shown: InForce | None) -> Rejection | None:
    listener = shown.listeners.get(route_name(ref)) if shown else None
    return listener.error_state if listener else None


def _raise_if_refused(ref: ServiceRef, spec: TrafficSpec, before: Rejection | None, now: Rejection | None) -> None:
    """Envoy goes on showing an earlier refusal until it has tried again; that one says nothing about this call."""
    if now is None or now == before:
        return
    raise ProviderError(
        f"Envoy refuses to listen on {spec.listen} for {ref}: {now.details}. "
        "Free that address (`ss -ltnp` shows who holds it) or change the service's traffic.listen.",
        retryable=False,
    )
