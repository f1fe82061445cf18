"""A receiver of webhooks that notes when each came."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from benchmarks.alert_sending import length_of
from models.quantities import HostPort
from models.standard_webhooks import ID

_TAKEN = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
_HEAD = ID.encode() + b":"


@dataclass(frozen=True)
class Heard:
    """One message of Holdfast's; `at` is in Unix seconds, `due_at` as it was sent."""

    at: float
    service: str
    kind: str
    level: int
    due_at: str


class Sink:
    """Knows Holdfast's pages and Alertmanager's groups, by the service that they are about."""

    def __init__(self, address: HostPort) -> None:
        self.address = address
        self.first: dict[str, float] = {}
        self.pages: list[Heard] = []
        self.ids: Counter[str] = Counter()
        self._news = asyncio.Condition()

    async def until(self, services: set[str]) -> None:
        """Wait until something came about each of them."""
        async with self._news:
            await self._news.wait_for(lambda: services <= self.first.keys())

    async def until_pages(self, enough: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(enough)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(length_of(head))
                at = time.monotonic()
                writer.write(_TAKEN)
                await self._note(head, json.loads(body), at)
        writer.close()

    async def _note(self, head: bytes, document: dict[str, object], at: float) -> None:
        data = document.get("data")
        if isinstance(data, dict):
            services = [data["incident"]["service"]]
            kind = str(document["type"]).removeprefix("incident.")
            self.pages.append(Heard(time.time(), services[0], kind, data["level"], data["due_at"]))
        else:
            alerts = document.get("alerts")
            assert isinstance(alerts, list), document
            services = [alert["labels"]["service"] for alert in alerts]
        for line in head.split(b"\r\n"):
            if line.lower().startswith(_HEAD):
                self.ids[line.partition(b":")[2].strip().decode()] += 1
        async with self._news:
            for service in services:
                self.first.setdefault(service, at)
            self._news.notify_all()


@asynccontextmanager
async def a_sink() -> AsyncIterator[Sink]:
    sinks: list[Sink] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sinks[0].serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    sinks.append(Sink(f"{host}:{port}"))
    try:
        yield sinks[0]
    finally:
        server.close()
