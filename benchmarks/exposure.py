"""How long do users meet a bad version, and how many of them? Real Envoy, real processes, the whole local stack.

`python -m benchmarks.exposure`: a version that fails every fifth customer comes as a canary with 10% of 50 requests a
second, 20 times. Exit code 0 when the time from the first request that failed until its weight was 0 is at most 8 s in
the median, and every run ended in a rollback.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from devstack.temporal_cli import find_temporal_cli
from runtime.settings import Settings
from tests.whole.platform import Platform, Shop, finished

RATE, BAD, STABLE = 50, "v3", "v1"
BOUND_SECONDS = 8.0


@dataclass(frozen=True)
class Run:
    """`seconds` from the first request that failed until the weight was confirmed to be 0."""

    rolled_back: bool
    seconds: float
    sent: int
    failed: int
    reason: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exposure", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="how many canaries")
    parser.add_argument("--json", action="store_true", help="print the runs as JSON")
    options = parser.parse_args(arguments)
    settings = Settings()
    asyncio.run(
        find_temporal_cli(
            configured=settings.temporal_cli,
            cache_dir=settings.cache_dir,
            say=lambda text: print(text, file=sys.stderr),
        )
    )
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        runs = measure(Path(folder), options.rounds)
    if options.json:
        print(json.dumps([asdict(run) for run in runs], indent=2))
    else:
        tell(runs)
    return 0 if held(runs) else 1


def measure(folder: Path, rounds: int) -> list[Run]:
    platform = Platform(folder)
    platform.start()
    try:
        shop = platform.shop(steps=[{"weight": "10%", "bake": "2m"}])
        catalog = json.loads(shop.catalog.read_text())
        catalog["services"][shop.name]["guard"] = {"cooldown": "0s"}
        shop.catalog.write_text(json.dumps(catalog))
        platform.deploy(shop, STABLE)
        runs = []
        for number in range(1, rounds + 1):
            runs.append(one(platform, shop))
            print(f"{number:>3} of {rounds}: {runs[-1].seconds:5.1f} s  {runs[-1].reason}", file=sys.stderr, flush=True)
        return runs
    finally:
        platform.end()


def one(platform: Platform, shop: Shop) -> Run:
    with platform.traffic(shop, RATE) as report, platform.deploying(shop, BAD) as deploying:
        _, result = finished(deploying)
        users = report()
    first, off = (datetime.fromisoformat(moment) for moment in (users["first_failure_at"], result["off_at"]))
    return Run(
        rolled_back=result["outcome"] == "rolled_back",
        seconds=(off - first).total_seconds(),
        sent=users["sent"],
        failed=users["failed"],
        reason=result["reason"],
    )


def held(runs: Sequence[Run]) -> bool:
    return all(run.rolled_back for run in runs) and statistics.median(run.seconds for run in runs) <= BOUND_SECONDS


def tell(runs: Sequence[Run]) -> None:
    seconds = sorted(run.seconds for run in runs)
    sent, failed = sum(run.sent for run in runs), sum(run.failed for run in runs)
    print(
        f"{sum(run.rolled_back for run in runs)} of {len(runs)} rolled back; from the first request that failed to "
        f"weight 0: {statistics.median(seconds):.1f} s in the median, {seconds[0]:.1f} to {seconds[-1]:.1f} s; "
        f"{BOUND_SECONDS:g} s are promised. While the canaries ran, {failed:,} of {sent:,} requests of users failed "
        f"({failed / sent:.2%})."
    )


if __name__ == "__main__":
    sys.exit(main())
