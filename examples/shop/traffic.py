"""Users of the shop: `python -m examples.shop.traffic --url http://127.0.0.1:18080 --rate 50`.

Requests leave at a steady rate whether or not earlier ones were answered, as those of real users do. Once a second it
says what they met. Loopback only: this is no tool to load other people's machines with.
"""

import argparse
import asyncio
import ipaddress
import signal
import sys
import time
from pathlib import Path

import httpx

from examples.shop.tally import UNKNOWN, Tally

MAX_RATE = 500.0
_TIMEOUT = httpx.Timeout(5.0)
_FAREWELL_SECONDS = 5.0
_REPORT_SECONDS = 0.5
_VERSION_HEADER = "x-holdfast-version"
_FIRST_ERROR = 400


def check_loopback(url: str) -> str:
    """Return a URL of this machine. Raises ValueError for another's, or for what is no http URL."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not a URL; write one like http://127.0.0.1:18080") from error
    if parsed.scheme != "http" or not parsed.host:
        raise ValueError(f"{url!r} is not an http URL; write one like http://127.0.0.1:18080")
    if not _is_loopback(parsed.host):
        raise ValueError(f"{parsed.host} is not this machine; traffic is only made to localhost, 127.0.0.1 or ::1")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Traffic:
    """Users that ask for one page over and over, `rate` times a second."""

    def __init__(self, url: str, rate: float, tally: Tally) -> None:
        self._url = url
        self._rate = rate
        self._tally = tally
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then wait for what is under way, at most as long as a request may take."""
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)
        async with httpx.AsyncClient(timeout=_TIMEOUT, limits=limits, trust_env=False) as client:
            start, sent = time.monotonic(), 0
            while not stop.is_set():
                due = int((time.monotonic() - start) * self._rate) + 1
                # After a pause of this process the users do not all come at once.
                sent = max(sent, due - int(self._rate) - 1)
                for _ in range(due - sent):
                    self._send(client)
                sent = due
                await _wait(stop, start + sent / self._rate - time.monotonic())
            if self._under_way:
                _, late = await asyncio.wait(self._under_way, timeout=_FAREWELL_SECONDS)
                for request in late:  # told as unfinished
                    request.cancel()

    def _send(self, client: httpx.AsyncClient) -> None:
        self._tally.sent()
        task = asyncio.create_task(self._request(client))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _request(self, client: httpx.AsyncClient) -> None:
        start = time.monotonic()
        try:
            response = await client.get(self._url)
        except httpx.HTTPError as error:
            version, ok, met = UNKNOWN, False, type(error).__name__
        else:
            version, ok = _version_of(response), response.status_code < _FIRST_ERROR
            met = str(response.status_code)
        self._tally.ended(version, met, ok=ok, milliseconds=1000 * (time.monotonic() - start))


def _version_of(response: httpx.Response) -> str:
    """The version that answered: as the router says, else as the page says."""
    if header := response.headers.get(_VERSION_HEADER):
        return str(header)
    try:
        content = response.json()
    except ValueError:
        return UNKNOWN
    return str(content.get("version", UNKNOWN)) if isinstance(content, dict) else UNKNOWN


async def _tell(tally: Tally, as_json: bool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await _wait(stop, 1.0)
        second = tally.take_second()
        print(second.model_dump_json() if as_json else second.line(), flush=True)


async def _keep_report(tally: Tally, path: Path, stop: asyncio.Event) -> None:
    while not stop.is_set():
        tally.report().write(path)
        await _wait(stop, _REPORT_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await stop.wait()
    except TimeoutError:
        return


async def run(url: str, rate: float, seconds: float | None, as_json: bool, report_file: Path | None) -> Tally:
    """Make traffic for so many seconds, or until SIGTERM or SIGINT; returns what was met."""
    tally, stop = Tally(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(Traffic(url, rate, tally).run(stop))
        group.create_task(_tell(tally, as_json, stop))
        if report_file:
            group.create_task(_keep_report(tally, report_file, stop))
    if report_file:
        tally.report().write(report_file)
    return tally


def _loopback_url(text: str) -> str:
    try:
        return check_loopback(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text} is not a rate above 0 and up to {MAX_RATE:g} requests a second")
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Users of a service on this machine.")
    parser.add_argument("--url", type=_loopback_url, default="http://127.0.0.1:18080", help="what they ask for")
    parser.add_argument("--rate", type=_rate, default=50.0, help=f"requests a second, at most {MAX_RATE:g}")
    parser.add_argument("--seconds", type=_seconds, help="end after so many; without, on Ctrl-C or SIGTERM")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.add_argument("--report-file", type=Path, help="keep a JSON file with the totals up to date")
    arguments = parser.parse_args()
    failures: list[BaseException] = []
    try:
        tally = asyncio.run(
            run(arguments.url, arguments.rate, arguments.seconds, arguments.json, arguments.report_file)
        )
    except* OSError as group:
        # sys.exit within except* would itself be wrapped in a group.
        failures += group.exceptions
    if failures:
        sys.exit(f"The report file {arguments.report_file} cannot be written: {failures[0]}")
    print(tally.report().model_dump_json() if arguments.json else tally.summary(), flush=True)


if __name__ == "__main__":
    main()
