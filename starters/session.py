"""What every verb begins with: settings, catalog, a service of it, a connection."""

import difflib
import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client

from devstack.stack import read_record
from models.catalog import Catalog, Service
from models.ids import ServiceRef, Version, rollout_id
from models.stack import StackRecord
from records.errors import RecordsError
from runtime.catalog_file import CatalogError, load_catalog
from runtime.client import TemporalUnreachableError, connect
from runtime.settings import Settings, load_settings
from runtime.telemetry import quiet_runtime
from runtime.tracing import begin_command
from starters.exits import CommandError, Exit
from starters.handles import RolloutHandle, rollout_of

if TYPE_CHECKING:
    from records.store import RecordStore

VERB: ContextVar[str] = ContextVar("VERB", default="")
"""What the person typed after `holdfast`, which is what its trace is called."""


@dataclass(frozen=True)
class Session:
    """One run of the command. `stack` is the local stack's record, if one runs."""

    settings: Settings
    stack: StackRecord | None

    @classmethod
    def open(cls, catalog: Path | None = None) -> "Session":
        settings = load_settings()
        if catalog:
            settings = settings.model_copy(update={"catalog": catalog})
        return cls(settings=settings, stack=read_record(settings.home))

    def catalog(self) -> Catalog:
        try:
            return load_catalog(self.settings.catalog)
        except CatalogError as error:
            raise CommandError(str(error), Exit.BAD_INPUT) from error

    def service(self, name: str) -> tuple[ServiceRef, Service]:
        catalog = self.catalog()
        self.check_service(catalog, name)
        return ServiceRef(environment=catalog.environment, service=name), catalog.services[name]

    def check_service(self, catalog: Catalog, name: str) -> None:
        """Raises CommandError when the catalog has no such service."""
        if name not in catalog.services:
            close = difflib.get_close_matches(name, catalog.services, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it describes {', '.join(sorted(catalog.services))}."
            raise CommandError(f"{self.settings.catalog} has no service {name!r}; {hint}", Exit.BAD_INPUT)

    async def client(self) -> Client:
        begin_command(self.settings, f"holdfast {VERB.get()}".strip())
        try:
            address = self.stack.temporal if self.stack else None
            return await connect(self.settings, address=address, runtime=quiet_runtime())
        except TemporalUnreachableError as error:
            raise CommandError(str(error), Exit.UNREACHABLE) from error

    async def rollout(self, ref: ServiceRef, run_id: str | None = None) -> RolloutHandle:
        """The service's newest rollout, or one run of it."""
        return rollout_of(await self.client(), ref, run_id)

    @asynccontextmanager
    async def records(self) -> AsyncIterator["RecordStore"]:
        """The records. What goes wrong with them in the block is raised as a CommandError."""
        from records.store import RecordStore  # half a second, which every other verb would wait for too

        try:
            opened = RecordStore(self.settings.records_url, self.settings.home)
        except RecordsError as error:
            raise CommandError(str(error), Exit.BAD_INPUT) from error
        async with opened as store:
            try:
                yield store
            except RecordsError as error:
                raise CommandError(str(error), Exit.UNREACHABLE) from error

    def ui_link(self, ref: ServiceRef) -> str | None:
        """Where the Temporal UI of the local stack shows the service's newest rollout."""
        if self.stack is None:
            return None
        workflow = rollout_id(ref).replace("/", "%2F")
        return f"http://{self.stack.ui}/namespaces/{self.settings.temporal_namespace}/workflows/{workflow}"


def parse_version(text: str) -> Version:
    try:
        return TypeAdapter(Version).validate_python(text)
    except ValidationError as error:
        raise CommandError(str(error.errors()[0]["ctx"]["error"]), Exit.BAD_INPUT) from error


def who() -> str:
    """The person at the keyboard, for the record: `ada@laptop`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def from_where() -> str:
    """This front door and its host, for the record: `command@laptop`."""
    return f"command@{socket.gethostname()}"
