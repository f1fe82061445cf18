"""What a process says about itself over HTTP: `/healthz` is it alive, `/readyz` does it work."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from models.base import Payload
from models.quantities import HostPort

LOOP_ANSWERS_WITHIN = timedelta(seconds=1)
"""Half of Temporal's deadlock limit: a loop slower than this delays heartbeats that others wait for."""


class Report(Payload):
    """The body of both answers; the code is 200 when it is ok, else 503."""

    ok: bool
    text: str


class Speaks(Protocol):
    """Where a process is in its life. Written by the event loop, read by the threads that answer."""

    def ready(self) -> Report: ...

    def alive(self, *, loop_answers: bool) -> Report: ...


def loop_sentence(*, loop_answers: bool) -> str:
    if loop_answers:
        return "The event loop answers."
    return f"The event loop did not answer within {LOOP_ANSWERS_WITHIN.total_seconds():g} s: something blocks it."


@contextmanager
def serving_health(status: Speaks, port: int, *, setting: str = "HOLDFAST_WORKER_HEALTH_PORT") -> Iterator[HostPort]:
    """Answer on 127.0.0.1 from threads, so that a stuck event loop is reported instead of merely silent.

    Port 0 takes any free one. Yields the address. Raises OSError, which names the `setting`, when the port is taken.
    """
    loop = asyncio.get_running_loop()
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, status, loop))
    except OSError as error:
        raise OSError(
            f"health cannot be served at 127.0.0.1:{port}: {error.strerror}. "
            f"Set {setting} to a free port, or to 0 for any."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = 5  # seconds a client may take to send its request

    def __init__(self, status: Speaks, loop: asyncio.AbstractEventLoop, *connection: object) -> None:
        self._status = status
        self._loop = loop
        super().__init__(*connection)  # type: ignore[arg-type]  # the server's own three arguments, passed on

    def do_GET(self) -> None:
        match self.path:
            case "/healthz":
                report = self._status.alive(loop_answers=_answers(self._loop))
            case "/readyz":
                report = self._status.ready()
            case _:
                self.send_error(HTTPStatus.NOT_FOUND, "ask for /healthz or /readyz")
                return
        body = report.model_dump_json().encode()
        self.send_response(HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: a probe every few seconds would drown the log."""


def _answers(loop: asyncio.AbstractEventLoop) -> bool:
    answered = threading.Event()
    try:
        loop.call_soon_threadsafe(answered.set)
    except RuntimeError:  # the loop is closed
        return False
    return answered.wait(LOOP_ANSWERS_WITHIN.total_seconds())
