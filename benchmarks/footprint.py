"""What production needs: `make footprint`. Memory of each part and bytes in PostgreSQL, after some rollouts.

Runs what docker-compose.temporal.yml declares, without images: PostgreSQL, Temporal's server, Envoy, the keeper, two
workers a group. About two minutes.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import psutil

from tests.production.platform import RECORDS, Production

_MIB = 1024 * 1024
_DATABASES = ("temporal", "temporal_visibility", RECORDS)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.footprint", description="Measure what production needs."
    )
    parser.add_argument("--rollouts", type=int, default=20, help="how many, one after another")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="holdfast-footprint-") as folder:
        production = Production(Path(folder))
        try:
            production.start()
            _measure(production, options.rollouts)
        finally:
            production.end()
    return 0


def _measure(production: Production, rollouts: int) -> None:
    shop = production.shop(bake="1s", min_requests=1)
    production.deploy(shop, "v1")
    before = asyncio.run(_sizes(production))
    with production.traffic(shop, 20):
        for number in range(rollouts):
            production.deploy(shop, "v2" if number % 2 == 0 else "v1")
    after = asyncio.run(_sizes(production))
    print(f"{rollouts} canaries of two steps, one after another.")
    for name in _DATABASES:
        grown = (after[name] - before[name]) / rollouts / 1024
        print(f"database {name}: {grown:.0f} KiB a rollout, {after[name] / _MIB:.0f} MiB in all")
    for name, size in sorted(_memory(production).items()):
        print(f"{name}: {size / _MIB:.0f} MiB")


async def _sizes(production: Production) -> dict[str, int]:
    connection = await asyncpg.connect(production.temporal.postgres.url())
    try:
        return {name: await connection.fetchval("SELECT pg_database_size($1)", name) for name in _DATABASES}
    finally:
        await connection.close()


def _memory(production: Production) -> dict[str, int]:
    """The memory that each part has for itself alone."""
    return {name: psutil.Process(pid).memory_full_info().uss for name, pid in production.pids().items()}


if __name__ == "__main__":
    sys.exit(main())
