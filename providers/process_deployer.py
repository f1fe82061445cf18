"""Instances as operating-system processes on this host."""

import asyncio
import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import ParamSpec, TypeVar

import httpx

from models.deployment import Instance, ProcessDeployment
from models.fence import Fence
from models.ids import Group, ServiceRef, version_of
from models.secrets import SecretUnavailableError
from providers.durable_files import held
from providers.errors import NotReadyError, ProviderError
from providers.host_ports import free_port, is_free
from providers.process_control import answered_by_another, end, end_strays, is_alive, live_records, spawn, with_process
from providers.process_readiness import ExitedError, last_lines, wait_until_ready
from providers.process_records import MARK, InstanceRecord, VersionFolder
from providers.roles import Progress, SecretResolver

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_TRIES_FOR_A_PORT = 4
_OUR_OWN_SETTINGS = ("HOLDFAST_", "SENTRY_")
_OUR_COLLECTORS_KEYS = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS")
"""Secrets. What else begins so is none, and says to services on this host, too, where traces go."""

_WRONG_COMMAND = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.ENAMETOOLONG)
"""What the system says of a command that the same call would never start; of anything else it may think better."""


@dataclass(frozen=True)
class Restored:
    """A version brought back; `problem` says why not all of it is."""

    ref: ServiceRef
    version: Group
    instances: tuple[Instance, ...]
    problem: str = ""


class ProcessDeployer:
    """Keeps what is wanted and what runs under `folder`; any object on the same folder and host goes on from there.

    Instances outlive the process that started them. A version's folder is locked while it is started or stopped, so
    that two calls at once, in whatever processes, never start an instance twice.
    """

    def __init__(self, folder: Path, secrets: SecretResolver) -> None:
        self._root = folder
        self._secrets = secrets
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(2.0), trust_env=False)
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def instances(self, ref: ServiceRef, spec: ProcessDeployment) -> tuple[Instance, ...]:  # noqa: ARG002 - the role's shape
        with _host_errors():
            return await asyncio.to_thread(self._instances, ref)

    def _instances(self, ref: ServiceRef) -> tuple[Instance, ...]:
        self._reap()
        return tuple(
            folder.instance(record)
            for folder in VersionFolder.all_under(self._root, ref)
            for record in live_records(folder)
        )

    async def start(
        self,
        ref: ServiceRef,
        version: Group,
        spec: ProcessDeployment,
        progress: Progress,
        fence: Fence | None = None,
    ) -> tuple[Instance, ...]:
        folder = VersionFolder(self._root, ref, version)
        with _host_errors():
            async with held(folder.path):
                folder.let_pass(fence)
                folder.want(spec)
                self._reap()
                records = await _to_its_end(live_records, folder)
                kept = [record for record in records if not record.ending][: spec.instances]
                await self._end(folder, [record for record in records if record not in kept], spec)
                await self._end_strays(folder, kept, spec)
                return await self._bring_up(folder, {record.slot: record for record in kept}, spec, progress)

    async def scale(
        self,
        ref: ServiceRef,
        version: Group,
        spec: ProcessDeployment,
        instances: int,
        progress: Progress,
        fence: Fence | None = None,
    ) -> tuple[Instance, ...]:
        with _host_errors():
            wanted = VersionFolder(self._root, ref, version_of(version)).wanted()
        as_last_started = wanted.spec if wanted else spec
        asked = as_last_started.model_copy(update={"instances": instances})
        return await self.start(ref, version, asked, progress, fence)

    async def _bring_up(
        self, folder: VersionFolder, alive: dict[int, InstanceRecord], spec: ProcessDeployment, progress: Progress
    ) -> tuple[Instance, ...]:
        """Fill the lowest slots that are empty and wait for all, side by side; the first problem is raised."""
        ready = 0
        empty = (slot for slot in count() if slot not in alive)
        slots = sorted([*alive, *islice(empty, spec.instances - len(alive))])

        async def one(slot: int) -> InstanceRecord:
            nonlocal ready
            record = await self._ready_slot(folder, slot, alive.get(slot), spec)
            ready += 1
            progress(f"{ready} of {spec.instances} ready")
            return record

        progress(f"{ready} of {spec.instances} ready")
        tasks = [asyncio.create_task(one(slot)) for slot in slots]
        try:
            records = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return tuple(folder.instance(record) for record in records)

    async def _ready_slot(
        self, folder: VersionFolder, slot: int, record: InstanceRecord | None, spec: ProcessDeployment
    ) -> InstanceRecord:
        for _ in range(_TRIES_FOR_A_PORT):
            record = record or self._launch(folder, slot, spec)
            name, log = folder.instance(record).name, folder.log(slot)
            address = f"127.0.0.1:{record.port}"
            try:
                await wait_until_ready(self._http, name, address, spec.ready, log, partial(self._lives, record))
            except ExitedError:
                if is_free(record.port):
                    ended = self._how_it_ended(record)
                    raise NotReadyError(f"{name} ended before it was ready{ended}.{last_lines(log)}") from None
            else:
                # An instance that found its port taken may be gone while the other program answers there.
                if self._lives(record) and not await asyncio.to_thread(answered_by_another, record):
                    return record
                await self._end(folder, [record], spec)
            record = None  # another program took the port between our choice and the instance's start
        raise ProviderError(
            f"{folder.ref.service} {folder.version} found each of {_TRIES_FOR_A_PORT} ports taken as it started.",
            retryable=True,
        )

    def _launch(self, folder: VersionFolder, slot: int, spec: ProcessDeployment) -> InstanceRecord:
        """Record, start, record the process: a crash in between leaves a process that its mark names."""
        record = folder.new_record(slot, free_port(), datetime.now(UTC))
        folder.write(record)
        folder.trim_log(slot)
        command = [self._fill(part, folder.version, record) for part in spec.command]
        name = folder.instance(record).name
        try:
            env = self._environment(folder, record, spec)
            child = spawn(command, cwd=spec.working_directory, env=env, log=folder.log(slot))
        except SecretUnavailableError as error:
            raise NotReadyError(f"{name} was not started. {error}") from error
        except OSError as error:
            if error.errno not in _WRONG_COMMAND:
                raise
            raise NotReadyError(
                f"{name} was not started: {error.strerror}: {error.filename}. "
                f"Its command is {command[0]!r} in {spec.working_directory}; correct `deploy` in the catalog."
            ) from error
        self._children[child.pid] = child
        record = with_process(record, child.pid)
        folder.write(record)
        return record

    @staticmethod
    def _fill(part: str, version: Group, record: InstanceRecord) -> str:
        values = {
            "{python}": sys.executable,
            "{port}": str(record.port),
            "{version}": version_of(version),
            "{instance}": str(record.slot),
        }
        for placeholder, value in values.items():
            part = part.replace(placeholder, value)
        return part

    def _environment(self, folder: VersionFolder, record: InstanceRecord, spec: ProcessDeployment) -> dict[str, str]:
        """The worker's own environment without its settings, then the catalog's, then the mark."""
        inherited = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        added = {name: self._secrets(value).get_secret_value() for name, value in spec.env.items()}
        return {**inherited, **added, MARK: folder.mark(record)}

    async def stop(
        self,
        ref: ServiceRef,
        version: Group,
        spec: ProcessDeployment,
        progress: Progress,
        fence: Fence | None = None,
    ) -> None:
        folder = VersionFolder(self._root, ref, version)
        with _host_errors():
            if not folder.path.exists() and fence is None:
                return  # with a fence, a start that comes late is to find it
            folder.check(fence)
            folder.want_no_more()
            async with held(folder.path):
                folder.let_pass(fence)
                folder.want_no_more()
                records = await _to_its_end(live_records, folder)
                progress(f"stopping {len(records)} of {version}")
                await self._end(folder, records, spec)
                await self._end_strays(folder, [], spec)
                for record in folder.records():
                    folder.forget(record.slot)

    async def halt_all(self, progress: Progress) -> int:
        """Stop every instance but keep what is wanted, for `restore`. Returns how many were stopped."""
        with _host_errors():
            counts = await asyncio.gather(
                *(self._halt(folder, progress) for folder in VersionFolder.all_under(self._root))
            )
        return sum(counts)

    async def _halt(self, folder: VersionFolder, progress: Progress) -> int:
        async with held(folder.path):
            records = await _to_its_end(live_records, folder)
            wanted = folder.wanted()
            if records:
                progress(f"stopping {len(records)} of {folder.ref.service} {folder.version}")
                await self._end(folder, records, wanted.spec if wanted else None)
            await self._end_strays(folder, [], wanted.spec if wanted else None)
            return len(records)

    async def restore(self, progress: Progress) -> tuple[Restored, ...]:
        """Start again what is wanted; what does not come up is told in `problem` and keeps nothing else back."""
        with _host_errors():
            wanted = [found for folder in VersionFolder.all_under(self._root) if (found := folder.wanted())]
        restored = []
        for each in wanted:
            progress(f"restoring {each.spec.instances} of {each.ref.service} {each.version}")
            problem = ""
            try:
                await self.start(each.ref, each.version, each.spec, lambda _: None)
            except ProviderError as error:
                problem = str(error)
            alive = [i for i in await self.instances(each.ref, each.spec) if i.version == each.version]
            restored.append(Restored(each.ref, each.version, tuple(alive), problem))
        return tuple(restored)

    async def _end(self, folder: VersionFolder, records: list[InstanceRecord], spec: ProcessDeployment | None) -> None:
        for record in records:
            with suppress(OSError):  # a full disk keeps nothing from being ended
                folder.write(record.model_copy(update={"ending": True}))
        if records:
            await _to_its_end(end, records, grace=_grace(spec))
        self._reap()
        for record in records:
            folder.forget(record.slot)

    @staticmethod
    async def _end_strays(folder: VersionFolder, kept: list[InstanceRecord], spec: ProcessDeployment | None) -> None:
        await _to_its_end(end_strays, folder, kept, grace=_grace(spec))

    def _lives(self, record: InstanceRecord) -> bool:
        self._reap()
        return is_alive(record)

    def _reap(self) -> None:
        """Take the exit status of children that ended, so that none stays a zombie."""
        for child in list(self._children.values()):  # a thread may be here while another child is added
            child.poll()

    def _how_it_ended(self, record: InstanceRecord) -> str:
        child = self._children.get(record.pid or 0)
        code = child.poll() if child else None
        if code is None:
            return ""
        return f" (killed by signal {-code})" if code < 0 else f" (exit code {code})"


async def _to_its_end(work: Callable[Parameters, Result], *args: Parameters.args, **named: Parameters.kwargs) -> Result:
    """Run blocking work in a thread, and wait for it though cancelled: what touches processes must not go on once the
    folder is let go, or it would end what another call has started since.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **named))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def _is_ours(variable: str) -> bool:
    return variable.startswith(_OUR_OWN_SETTINGS) or _OUR_COLLECTORS_KEYS.fullmatch(variable) is not None


def _grace(spec: ProcessDeployment | None) -> float:
    return (spec or ProcessDeployment(command=("{port}",))).drain.total_seconds()


@contextmanager
def _host_errors() -> Iterator[None]:
    """A host that is out of disk or processes may have some again later."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ProviderError(f"This host refused: {error.strerror}{where}.", retryable=True) from error
