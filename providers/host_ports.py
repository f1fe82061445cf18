"""Ports and processes of this host."""

import itertools
import os
import random
import socket
from pathlib import Path

import psutil

_LOOPBACK = "127.0.0.1"
_CLOCK_STEP = 2.0

OF_INSTANCES = range(20_000, 29_000)
OF_THE_STACK = range(29_000, 32_768)
"""Kept apart: a worker that died is to find its ports again, and none of what was started meanwhile on them.

Both are below the range that systems take for outgoing connections: one of those would otherwise hold the port now and
then when its server is started again.
"""


def free_ports(count: int, among: range = OF_INSTANCES) -> tuple[int, ...]:
    """Different ports that nothing on loopback listens on at this moment. Raises OSError when there are not as many."""
    candidates = random.sample(among, len(among))
    free = tuple(itertools.islice(filter(is_free, candidates), count))
    if len(free) < count:
        raise OSError(f"no {count} ports are free between {among.start} and {among.stop}")
    return free


def free_port() -> int:
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server could listen on the port on loopback."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def holder_of(port: int) -> str | None:
    """Who listens on the port, like `postgres (process 812)`; None when the system does not tell us."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            return f"{_name(connection.pid)} (process {connection.pid})"
    return None


def process_started(pid: int) -> float | None:
    """When the process began, in seconds; None when there is none.

    On Linux since the host's boot, which no change of the wall clock moves; elsewhere Unix time.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return _since_boot(pid) or process.create_time()
    except psutil.Error:
        return None


def _since_boot(pid: int) -> float | None:
    """Field 22 of /proc/PID/stat (proc_pid_stat(5)); the name before it may hold anything, in parentheses."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[22 - 3]) / os.sysconf("SC_CLK_TCK")


def is_same_process(pid: int, started: float) -> bool:
    """Whether the process that began then still runs: a pid alone may have been given to another since."""
    now = process_started(pid)
    # Where the system tells Unix time only, a corrected clock moves what it reports a little.
    return now is not None and abs(now - started) < _CLOCK_STEP


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a process"
