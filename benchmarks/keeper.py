"""How long after its deadline does a canary that nobody renews still get traffic? Real Envoy, real keeper process.

`python -m benchmarks.keeper`: 20 canaries at 10%, each armed once and then left alone, as when workers and Temporal
are dead; users go on all the while. Exit code 0 when every one was taken back within its lease plus 2 s.
"""

import asyncio
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from models.ids import ServiceRef
from models.quantities import HostPort, host_of, port_of
from providers.host_clock import host_time
from tests.keeper.canary import a_canary, keeper_process
from tests.providers.envoy_harness import Envoy, running_envoy, running_site

SHORT, LONG = 5.0, 30.0
BATCHES = ((SHORT,) * 8, (SHORT,) * 8)
BESIDE = (LONG,) * 4
WEIGHT = 10.0
USERS, PAUSE = 4, 0.02
BOUND = 2.0
WATCHED_BEYOND = 4.0


@dataclass
class Trial:
    """Moments are seconds on the host's boot clock."""

    lease: float
    deadline: float = 0.0
    last_from_candidate: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def late(self) -> float:
        """Seconds after the deadline of the last response that came from the candidate."""
        return self.last_from_candidate - self.deadline

    @property
    def shown(self) -> bool:
        """Whether the candidate had its share until the deadline: else nothing was measured."""
        return self.late > -1.0

    @property
    def passed(self) -> bool:
        return self.shown and self.late <= BOUND and self.answers["failed"] == 0


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        home = Path(folder)
        async with running_envoy(home / "envoy") as envoy, keeper_process(envoy, home):
            numbers = iter(range(1000))

            async def side_by_side(leases: Sequence[float]) -> list[Trial]:
                return list(await asyncio.gather(*(one(envoy, home, next(numbers), lease) for lease in leases)))

            async def one_after_another() -> list[Trial]:
                return [trial for batch in BATCHES for trial in await side_by_side(batch)]

            short, long = await asyncio.gather(one_after_another(), side_by_side(BESIDE))
    return tell([*short, *long])


async def one(envoy: Envoy, home: Path, number: int, lease: float) -> Trial:
    trial = Trial(lease)
    async with AsyncExitStack() as opened:
        ref = ServiceRef(environment="local", service=f"shop-{number}")
        site = await opened.enter_async_context(running_site(envoy, ref))
        canary = await a_canary(site, home, duration=lease)
        await canary.begin(WEIGHT)
        users = [asyncio.create_task(user(site.spec.listen, trial)) for _ in range(USERS)]
        try:
            async with canary.ledger.acting(canary.lease.key) as record:
                assert record
                trial.deadline = record.deadline.seconds
            await asyncio.sleep(trial.deadline + WATCHED_BEYOND - host_time().seconds)
        finally:
            for each in users:
                each.cancel()
            await asyncio.gather(*users, return_exceptions=True)
        await canary.settle()
    return trial


async def user(address: HostPort, trial: Trial) -> None:
    """One request after another, over one connection."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host_of(address), port_of(address))
            try:
                while True:
                    note(await ask(reader, writer), trial)
                    await asyncio.sleep(PAUSE)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            trial.answers["failed"] += 1


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """The version that answered."""
    writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
    await reader.readexactly(int(headers["content-length"]))
    ok = head.splitlines()[0].split()[1] == "200"
    return headers.get("x-holdfast-version", "failed") if ok else "failed"


def note(version: str, trial: Trial) -> None:
    trial.answers[version] += 1
    if version == "v2":
        trial.last_from_candidate = host_time().seconds


def tell(trials: Sequence[Trial]) -> int:
    print(f"{'lease':>6} {'last response from the candidate':>34} {'answers of v1':>14} {'of v2':>6} {'failed':>7}")
    for trial in trials:
        verdict = "" if trial.passed else "   MISSED" if trial.shown else "   nothing measured"
        told = f"{trial.late:+.2f} s from the deadline"
        counts = trial.answers
        print(f"{trial.lease:>4g} s {told:>34} {counts['v1']:>14} {counts['v2']:>6} {counts['failed']:>7}{verdict}")
    passed = sum(trial.passed for trial in trials)
    late = [trial.late for trial in trials]
    print(
        f"\n{passed} of {len(trials)} within lease + {BOUND:g} s; the last response from the candidate came "
        f"{statistics.median(late):+.2f} s from the deadline in the median, {max(late):+.2f} s at the most."
    )
    return 0 if passed == len(trials) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
