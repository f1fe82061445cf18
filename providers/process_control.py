"""Starting, recognising and ending the processes that are instances. Only processes proven to be ours are touched."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from providers.host_ports import is_same_process, process_started
from providers.process_records import MARK, InstanceRecord, VersionFolder

_POLL_SECONDS = 0.05
_CLOCK_STEP = 2.0


def spawn(command: Sequence[str], *, cwd: str, env: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, so that it outlives us. Raises OSError."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip


def is_alive(record: InstanceRecord) -> bool:
    return (
        record.pid is not None
        and record.process_started is not None
        and is_same_process(record.pid, record.process_started)
    )


def live_records(folder: VersionFolder) -> list[InstanceRecord]:
    """The version's living instances, by their records, or by their marks where a record does not tell.

    Records found out by marks are written, so that they are known from then on.
    """
    records = folder.records()
    known = [record for record in records if is_alive(record)]
    pids = {record.pid for record in known}
    # An instance's child may lead a session too: where a record names the instance, dead or alive, the child is not it.
    named = {record.nonce: record.pid for record in records if record.pid is not None}
    found = []
    for process, (slot, port, nonce) in sorted(_marked(folder), key=lambda each: each[0].create_time()):
        leads = _session(process) == process.pid
        if leads and process.pid not in pids and named.setdefault(nonce, process.pid) == process.pid:
            began = process.create_time()
            record = InstanceRecord(
                slot=slot,
                port=port,
                nonce=nonce,
                started_at=datetime.fromtimestamp(began, UTC),
                pid=process.pid,
                process_started=process_started(process.pid),
            )
            folder.write(record)
            found.append(record)
    return sorted([*known, *found], key=lambda record: record.slot)


def answered_by_another(record: InstanceRecord) -> bool:
    """Whether somebody else got the instance's port first: then what answers there is not the instance.

    A listener outside the instance's session may still be its own, such as a container's proxy. It is not when it
    carries another instance's mark, or is older than the instance.
    """
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return False  # some systems tell only root
    holders = {
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == record.port
    }
    return any(_is_foreign(pid, record) for pid in holders if pid)


def _is_foreign(pid: int, record: InstanceRecord) -> bool:
    try:
        holder = psutil.Process(pid)
        if _session(holder) == record.pid:
            return False
        mark = holder.environ().get(MARK)
        if mark:
            return not mark.endswith(record.nonce)
        return (process_started(pid) or 0.0) < (record.process_started or 0.0) - _CLOCK_STEP
    except psutil.Error:
        return False


def with_process(record: InstanceRecord, pid: int) -> InstanceRecord:
    return record.model_copy(update={"pid": pid, "process_started": process_started(pid)})


def end(records: Sequence[InstanceRecord], *, grace: float) -> None:
    """SIGTERM to each instance and all it started; after `grace` seconds SIGKILL to what is left. Blocks."""
    ours = [member for record in records if is_alive(record) for member in _group(record)]
    _tell_to_end(ours)
    _wait(ours, grace)
    leaders = {record.pid for record in records}
    _kill([member for member in _of_sessions(leaders, ours) if _runs(member)])


def end_strays(folder: VersionFolder, kept: Sequence[InstanceRecord], *, grace: float) -> None:
    """End what carries this version's mark but belongs to no instance kept: children that outlived theirs. Blocks."""
    nonces = {record.nonce for record in kept}
    strays = [process for process, (_, _, nonce) in _marked(folder) if nonce not in nonces]
    _tell_to_end(strays)
    _wait(strays, grace)
    late = [process for process in strays if _runs(process)]
    _kill(late)


def _tell_to_end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    _wait(processes, grace=5)


def _wait(processes: Sequence[psutil.Process], grace: float) -> None:
    deadline = time.monotonic() + grace
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _group(record: InstanceRecord) -> list[psutil.Process]:
    """The processes of an instance's session: itself and what it started."""
    return [process for process in psutil.process_iter() if _session(process) == record.pid]


def _of_sessions(leaders: set[int | None], known: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those known, and what they started while they were being ended.

    A session whose last process is gone may be another's by now, so it is only looked into while one known lives.
    """
    living = {_session(process) for process in known if _runs(process)} & leaders
    later = [process for process in psutil.process_iter() if _session(process) in living]
    return list({process.pid: process for process in [*known, *later]}.values())


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _marked(folder: VersionFolder) -> Iterator[tuple[psutil.Process, tuple[int, int, str]]]:
    """Processes that carry a mark of this version: instances, and their children, which inherit it."""
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK)
            if mark and _runs(process):
                parsed = folder.parse_mark(mark)
                if parsed:
                    yield process, parsed
        except psutil.Error:
            continue
