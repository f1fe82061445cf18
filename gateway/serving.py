"""Serving a web application until the process is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from models.quantities import HostPort

GRACE = timedelta(seconds=5)
"""For calls under way when the server is told to stop."""

_KEPT_ALIVE = timedelta(seconds=75)
"""An idle connection; longer than callers keep theirs, as one that is closed just when it is used fails a call."""


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again once it has stopped, and the exit code would not be 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, host: str, port: int, listening: Callable[[HostPort], None]) -> None:
    """Serve until SIGINT or SIGTERM. `listening` is told where, which for port 0 nobody knew. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(_KEPT_ALIVE.total_seconds()),
            timeout_graceful_shutdown=int(GRACE.total_seconds()),
        )
        server = _Server(config)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
        shown = f"[{host}]" if ":" in host else host
        listening(f"{shown}:{listener.getsockname()[1]}")
        await server.serve(sockets=[listener])
