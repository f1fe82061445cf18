"""The records of all services, and Envoy's files rendered from them.

Every method blocks for milliseconds, under the folder's lock, and leaves files from which the next call goes on:
the records are the truth, so a crash between two writes is healed by rendering again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from models.fence import Fence
from models.ids import Group, ServiceRef
from models.quantities import HostPort
from providers.durable_files import sync_folder
from providers.envoy_files import EnvoyFolder, JsonObject, locked, write_atomically
from providers.envoy_resources import (
    ServiceRecord,
    clusters,
    discovery_response,
    endpoints,
    has_endpoints_file,
    listener,
    routes,
)
from providers.envoy_shown import RouteConfiguration
from providers.errors import ProviderError
from providers.fencing import let_pass
from providers.inotify import require_room


class EnvoyStore:
    """`again` renames files over even when their content stays, which makes Envoy try what it could not do before."""

    def __init__(self, files: EnvoyFolder) -> None:
        self._files = files

    def read(self, ref: ServiceRef) -> ServiceRecord | None:
        path = self._files.record(ref)
        return _load(path) if path.exists() else None

    def put(
        self, record: ServiceRecord, *, again: bool, keep_addresses: bool = False, fence: Fence | None = None
    ) -> ServiceRecord:
        """Record what is wanted and add its clusters; those that routes still lead to stay. Returns what is recorded.

        With `keep_addresses` a version that is recorded already keeps its addresses. Raises StaleOrderError; and
        ProviderError (retryable), with nothing written, when Envoy could not watch the files that would be added.
        """
        with locked(self._files.root):
            known = self.read(record.ref)
            if keep_addresses:
                record = _with_addresses_of(record, known)
            passed = let_pass(known.passed if known else None, fence, f"a split of the traffic of {record.ref}")
            record = record.model_copy(update={"passed": passed})
            require_room(sum(not path.exists() for path in self._watched(record)))
            self._write_record(record)
            self._write_clusters(again=record.ref if again else None)
        return record

    def lead(self, record: ServiceRecord, *, again: bool) -> None:
        """Let listener and routes lead to the clusters of the record.

        Raises ProviderError (retryable) when another call has recorded something else meanwhile: that one prevails.
        """
        with locked(self._files.root):
            if self.read(record.ref) != record:
                raise ProviderError(
                    f"Another call changed the traffic of {record.ref} at the same moment; its split is kept.",
                    retryable=True,
                )
            self._write_routes(record, again=again)
            self._write_listeners(again=again)

    def prune(self) -> None:
        """Drop the clusters to which nothing leads."""
        with locked(self._files.root):
            self._write_clusters()

    def repoint(self, ref: ServiceRef, version: Group, addresses: Sequence[HostPort]) -> None:
        """Give one version other addresses and render all of the service; nothing happens where it has no record."""
        with locked(self._files.root):
            record = self.read(ref)
            if record is None:
                return
            backends = tuple(
                backend.model_copy(update={"addresses": tuple(addresses)}) if backend.version == version else backend
                for backend in record.backends
            )
            record = record.model_copy(update={"backends": backends})
            self._write_record(record)
            self._write_clusters()
            self._write_routes(record)
            self._write_listeners()
            self._write_clusters()

    def forget(self, ref: ServiceRef, *, again: bool) -> None:
        """Take the record and the listener away."""
        with locked(self._files.root):
            _remove(self._files.record(ref))
            self._write_listeners(again=again)

    def sweep(self, ref: ServiceRef, *, again: bool) -> None:
        """Take the routes and clusters of a forgotten service away."""
        with locked(self._files.root):
            if self.read(ref) is not None:
                raise ProviderError(
                    f"Another call gave {ref} traffic while it was being removed; it stays.", retryable=True
                )
            _remove(self._files.routes(ref))
            self._write_clusters(again=ref if again else None)

    def _watched(self, record: ServiceRecord) -> Iterator[Path]:
        yield self._files.routes(record.ref)
        for backend in record.backends:
            if has_endpoints_file(backend):
                yield self._files.endpoints(record.ref, backend.version)

    def _write_record(self, record: ServiceRecord) -> None:
        write_atomically(self._files.record(record.ref), record.model_dump(mode="json"))

    def _write_clusters(self, *, again: ServiceRef | None = None) -> None:
        """Endpoints come before the clusters that read them, and go after those."""
        wanted: dict[str, JsonObject] = {}
        for record in self._records():
            for backend in record.backends:
                if has_endpoints_file(backend):
                    path = self._files.endpoints(record.ref, backend.version)
                    write_atomically(
                        path, discovery_response([endpoints(record.ref, backend)]), again=again == record.ref
                    )
            wanted |= {str(cluster["name"]): cluster for cluster in clusters(record, self._files)}
        led_to = set(self._clusters_led_to())
        kept = {name: cluster for name, cluster in self._written_clusters() if name in led_to}
        listed = kept | wanted
        write_atomically(
            self._files.clusters,
            discovery_response([cluster for _, cluster in sorted(listed.items())]),
            again=again is not None,
        )
        for path in (self._files.root / "endpoints").glob("*/*.json"):
            if f"{path.parent.name}.{path.stem}" not in listed:
                _remove(path)

    def _write_routes(self, record: ServiceRecord, *, again: bool = False) -> None:
        path = self._files.routes(record.ref)
        write_atomically(path, discovery_response([routes(record)]), again=again)

    def _write_listeners(self, *, again: bool = False) -> None:
        """List the services that have routes: Envoy refuses a listener whose routes file does not exist."""
        listed = [
            listener(record, self._files) for record in self._records() if self._files.routes(record.ref).exists()
        ]
        write_atomically(self._files.listeners, discovery_response(listed), again=again)

    def _records(self) -> list[ServiceRecord]:
        return [_load(path) for path in sorted((self._files.root / "services").glob("*.json"))]

    def _written_clusters(self) -> Iterator[tuple[str, JsonObject]]:
        for resource in _resources(self._files.clusters):
            yield str(resource.get("name")), resource

    def _clusters_led_to(self) -> Iterator[str]:
        for path in (self._files.root / "routes").glob("*.json"):
            for resource in _resources(path):
                yield from RouteConfiguration.model_validate(resource).weights()


def _with_addresses_of(record: ServiceRecord, known: ServiceRecord | None) -> ServiceRecord:
    by_version = {backend.version: backend for backend in known.backends} if known else {}
    backends = tuple(by_version.get(backend.version, backend) for backend in record.backends)
    return record.model_copy(update={"backends": backends})


class _DiscoveryResponse(BaseModel):
    resources: list[dict[str, JsonValue]]


def _resources(path: Path) -> list[JsonObject]:
    """What a file lists; nothing where it is absent or not whole, as it is about to be written anew."""
    try:
        return _DiscoveryResponse.model_validate_json(path.read_bytes()).resources
    except (FileNotFoundError, ValidationError):
        return []


def _load(path: Path) -> ServiceRecord:
    try:
        return ServiceRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ProviderError(
            f"{path} does not hold a service's traffic any more, so nothing is changed: {error}. "
            "Restore the file; or remove it, and the next rollout of that service writes it anew.",
            retryable=False,
        ) from error


def _remove(path: Path) -> None:
    if path.exists():
        path.unlink()
        sync_folder(path.parent)
