"""Sending alerts as fast as they are taken, with a caller that costs next to nothing itself."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from models.quantities import HostPort

_LENGTH = b"content-length:"
_OK = range(200, 300)


@dataclass
class Times:
    """Seconds, of each alert."""

    seconds: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The quantile, in milliseconds; 0 where nothing was measured."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def mean(self) -> float:
        return 1000 * statistics.mean(self.seconds) if self.seconds else 0.0


class Connection:
    """One that is kept alive, and begun anew when it broke."""

    def __init__(self, address: HostPort) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: str = "") -> tuple[int, bytes]:
        """The status and the body. Raises OSError and EOFError for a connection that broke."""
        if self._streams and self._streams[0].at_eof():  # closed by the other side, as it was idle for long
            self.close()
        reader, writer = self._streams or await asyncio.open_connection(self._host, self._port)
        self._streams = None
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            said = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(length_of(said))
        except BaseException:
            writer.close()
            raise
        self._streams = (reader, writer)
        return int(said[9:12]), answer

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


def length_of(head: bytes) -> int:
    """What a head says of its body's length."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(_LENGTH):
            return int(line[len(_LENGTH) :])
    return 0


async def all_of(
    count: int, at_once: int, worker: Callable[[], Awaitable[Callable[[int], Awaitable[None]]]]
) -> tuple[float, Times]:
    """Have so many sent by so many at once, each by a sender of its own; how long it took, and how long each."""
    numbers, times = iter(range(count)), Times()

    async def one_after_another() -> None:
        send = await worker()
        for number in numbers:
            began = time.monotonic()
            await send(number)
            times.seconds.append(time.monotonic() - began)

    began = time.monotonic()
    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return time.monotonic() - began, times


def body_of(services: Sequence[str], *, summary: str = "5% of requests fail", status: str = "firing") -> bytes:
    """What Alertmanager posts of an alert of each of these services."""
    return body_of_alerts([an_alert(service, summary=summary, status=status) for service in services])


def body_of_alerts(alerts: Sequence[Mapping[str, object]]) -> bytes:
    """The body that Alertmanager posts of these."""
    document = {
        "version": "4",
        "status": "firing",
        "receiver": "holdfast",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": {"alertname": "HighErrorRate", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "truncatedAlerts": 0,
        "alerts": list(alerts),
    }
    return json.dumps(document).encode()


def an_alert(service: str, *, summary: str = "5% of requests fail", status: str = "firing") -> dict[str, object]:
    return {
        "status": status,
        "labels": {
            "alertname": "HighErrorRate",
            "service": service,
            "severity": "critical",
            "instance": f"{service}.example.com:9090",
            "region": "eu-central-1",
        },
        "annotations": {
            "summary": f"{service}: {summary}",
            "description": "The ratio of requests that were answered 5xx was above 5% for two minutes.",
            "runbook_url": "https://runbooks.example.com/high-error-rate",
        },
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=error_rate",
        "fingerprint": service,
    }
