"""What the platform adds to bare Temporal, and what open rollouts take: `make bench-rollouts`, up to an hour.

Rollouts per second are held against bare workflows per second, in turns of seconds, in one run, on one server, with the
same workers. Everything around a rollout answers at once from memory, so that what is measured is the platform: the
real `Rollout`, asking the real `ServiceGuard` of its service and giving it back, and a real `Recording` of its last
picture, which is waited for. Every service was rolled out before, so its guard is there, which begins once and then
runs for ever. All that is no product is the world: a deployer, router, keeper and recorder in memory, and a watch that
says "healthy" without the 100 ms that a real one takes at least.

A bare workflow runs as many activities as such a rollout all in all (its own, its guard's and its recording's, counted
in a history), one after another: the same number on each queue, with inputs and results of as many bytes, each of which
does nothing. It has no message, child, search attribute, second workflow or decision. Both kinds are served by the same
five workers, which have the product's own options and run in this process; both kinds have as many under way; which
goes first alternates. The bare activity is cheaper than the cheapest of ours: what the ratio leaves out is in favour of
the bare workflow. On a machine with other work the rates are the machine's; `processors` is the
same ratio by the time that processors worked for each, of workers, server and database together.

Memory is the resident memory of a process that runs the rollouts' worker alone, before and after so many rollouts came
to wait at a gate: once with room for all of them in its cache, once with the product's own limit.

`--server sqlite` is the dev server on a file, as `holdfast up` runs it; `--server postgresql` is the production server
on Debian's PostgreSQL (which does not wait for its disk here). Without it, both, one after the other.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.memory_world import MemoryWorld
from benchmarks.rollouts_memory import PRODUCT_LIMIT, Memory, measure_memory
from benchmarks.rollouts_rate import PLANS, Rates, a_stand, measure
from benchmarks.temporal_servers import Database, temporal_on

AT_LEAST = 0.7
EVENTS_AT_MOST = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    sys.dont_write_bytecode = False  # as installed: the sandbox would compile workflow code for every workflow
    databases = [Database(options.server)] if options.server else list(Database)
    found = {database: asyncio.run(_measure(database, options)) for database in databases}
    if options.json:
        print(json.dumps({database: _as_json(*each) for database, each in found.items()}, indent=2))
    else:
        for database, (rates, memory) in found.items():
            _tell(database, rates, memory)
    fine = all(
        each.ratio >= AT_LEAST and each.events <= EVENTS_AT_MOST
        for rates, _ in found.values()
        for each in rates.values()
    )
    return 0 if fine else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rollouts", description="Rollouts against bare Temporal."
    )
    parser.add_argument("--server", choices=[*Database], help="one of the two; both without it")
    parser.add_argument("--plan", choices=[*PLANS], action="append", help="a strategy; every one without it")
    parser.add_argument("--rounds", type=int, default=6, help="how often each kind is measured")
    parser.add_argument("--count", type=int, default=40, help="how many of each kind a round")
    parser.add_argument("--flight", type=int, default=20, help="how many are under way at once")
    parser.add_argument("--open", type=int, default=1000, help="how many open rollouts to weigh; 0: none")
    parser.add_argument("--json", action="store_true")
    return parser


async def _measure(database: Database, options: argparse.Namespace) -> tuple[dict[str, Rates], list[Memory]]:
    rates: dict[str, Rates] = {}
    memory: list[Memory] = []
    async with temporal_on(database) as address:
        async with a_stand(address, MemoryWorld()) as stand:
            for plan in options.plan or PLANS:
                _say(f"{database}, {plan}, load average {os.getloadavg()[0]:.1f}")
                rates[plan] = await measure(
                    stand, PLANS[plan], rounds=options.rounds, count=options.count, flight=options.flight, say=_say
                )
        for cached in (options.open + 100, PRODUCT_LIMIT) if options.open else ():
            _say(f"{database}, {options.open} open rollouts, {cached} cached, load average {os.getloadavg()[0]:.1f}")
            memory.append(await measure_memory(address, count=options.open, cached=cached))
    return rates, memory


def _tell(database: Database, rates: dict[str, Rates], memory: Sequence[Memory]) -> None:
    head = ("bare/s", "rollouts/s", "ratio", "from-to", "processors", "activities", "events of a rollout")
    print(f"\n{database:<12}" + "".join(f"{word:>12}" for word in head[:-1]) + f"{head[-1]:>21}")
    for plan, each in rates.items():
        ratios = [one.ratio for one in each.rounds]
        cells = (
            f"{statistics.median(1 / one.bare.seconds for one in each.rounds):.2f}",
            f"{statistics.median(1 / one.rollout.seconds for one in each.rounds):.2f}",
            f"{each.ratio:.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
            f"{each.computed_ratio:.2f}",
            f"{each.bare_calls}",
        )
        print(f"{plan:<12}" + "".join(f"{cell:>12}" for cell in cells) + f"{each.events:>21}")
    for one in memory:
        print(
            f"{one.open_rollouts} open rollouts, {one.cached_limit} cached at most: {one.before:.0f} MB before, "
            f"{one.after:.0f} MB after, {one.per_thousand:.0f} MB per 1,000"
        )


def _as_json(rates: dict[str, Rates], memory: Sequence[Memory]) -> dict[str, object]:
    return {
        "rates": {
            plan: {
                "ratio": each.ratio,
                "processor_ratio": each.computed_ratio,
                "rounds": [asdict(one) for one in each.rounds],
                "activities": each.bare_calls,
                "events": each.events,
            }
            for plan, each in rates.items()
        },
        "memory": [
            {
                "open": one.open_rollouts,
                "cached_limit": one.cached_limit,
                "mb_before": one.before,
                "mb_after": one.after,
                "mb_per_1000": one.per_thousand,
            }
            for one in memory
        ],
        "load_average": os.getloadavg()[0],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
