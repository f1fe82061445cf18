"""What the platform adds to bare Temporal on an alert's way, and how soon people hear of it: `make bench-alerts`.

Alerts per second, from POST to 2xx, are held against bare signal-with-start per second, in turns of seconds, in one
run, on one server. Ours is the product as it runs: `holdfast gateway` and the workers for incidents, notifications and
records are processes of their own, and a page goes to a webhook of this process. Each request brings one alert, as
Alertmanager's webhook sends it, over connections that are kept alive; the first alert of a key opens an incident, which
is paged, recorded and shown in Temporal's list while further alerts come. Alert `n` is of key `n % keys`. There are two
shapes of load:

- flood: more requests are under way than there are keys, for some ten seconds. What waits for the same incident goes to
  it in one signal. This is the sustained rate, and the one that a ratio is asked of.
- apart: fewer are under way than there are keys, so that none of them share a signal, and every twentieth alert opens
  an incident.

A bare alert is one signal-with-start by this process itself, of a workflow that counts its signals and does nothing
else, with an input and a signal of as many bytes as ours, as many keys and as many calls at once. It is asked by nobody
over HTTP, parses, validates, routes, audits nothing, has no search attributes, no activities and no timers. A worker
process with the product's options serves it. What the ratio leaves out is in favour of the bare one.

Bare calls are never put together: they are what everybody would write first. The rate ends with the last 2xx. "All
done" is the same ratio by the time until every process of both sides has nothing left to do: all alerts counted,
incidents paged and recorded, which the bare one has no counterpart for. The first page is timed from the POST of its
key's first alert, in the middle of the flood.

Then, idle: one alert at a time, to Holdfast and to a real Alertmanager with `group_wait: 0s` in turn, from the POST to
the webhook. Alertmanager keeps alerts in memory; Holdfast's webhook is called after Temporal has written the alert and
the decision to page down. And escalations: how long after a level was due its page arrives.

`--server sqlite` is the dev server on a file, as `holdfast up` runs it; `--server postgresql` is the production server
on Debian's PostgreSQL. Without it, the first.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.alert_lags import ESCALATES, Lags, measure_lags, measure_lateness
from benchmarks.alert_sending import Times
from benchmarks.alert_stage import a_stage
from benchmarks.alerts_rate import Rates, Shape, measure
from benchmarks.temporal_servers import Database

AT_LEAST = 0.7
LATE_AT_MOST_MS = 1_000
FLOOD, APART = "flood", "apart"
SHAPES = {FLOOD: Shape(count=10_000, keys=100, at_once=256), APART: Shape(count=2_000, keys=100, at_once=64)}
BARE = ("bare worker", ("-m", "benchmarks.bare_incident"))


@dataclass(frozen=True)
class Found:
    rates: dict[str, Rates]
    lags: Lags | None
    lateness: Times | None

    @property
    def fine(self) -> bool:
        flood = self.rates.get(FLOOD)
        return (flood is None or flood.ratio >= AT_LEAST) and (
            self.lateness is None or self.lateness.at(0.99) <= LATE_AT_MOST_MS
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    sys.dont_write_bytecode = False  # as installed: the sandbox would compile workflow code for every workflow
    found = asyncio.run(_measure(options))
    if options.json:
        print(json.dumps(_as_json(found), indent=2))
    else:
        _tell(found)
    return 0 if found.fine else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description="Alerts against bare Temporal.")
    parser.add_argument("--server", choices=[*Database], default=Database.SQLITE)
    parser.add_argument("--rounds", type=int, default=6, help="how often each kind is measured; 0: not at all")
    parser.add_argument("--shape", choices=[*SHAPES], help="only this one")
    parser.add_argument("--lags", type=int, default=100, help="how many alerts are followed one at a time; 0: none")
    parser.add_argument("--escalating", type=int, default=50, help="how many incidents escalate; 0: none")
    parser.add_argument("--json", action="store_true")
    return parser


async def _measure(options: argparse.Namespace) -> Found:
    rates: dict[str, Rates] = {}
    lags = lateness = None
    database = Database(options.server)
    if options.rounds or options.lags:
        async with a_stage(database=database, more=[BARE]) as stage:
            if options.lags:
                lags = await measure_lags(stage, options.lags)
            for name in [options.shape] if options.shape else SHAPES:
                if options.rounds:
                    _say(f"{name}: {_described(SHAPES[name])}")
                    rates[name] = await measure(stage, SHAPES[name], rounds=options.rounds, say=_say)
    if options.escalating:
        async with a_stage(database=database, levels=ESCALATES) as stage:
            lateness = await measure_lateness(stage, options.escalating)
    return Found(rates, lags, lateness)


def _tell(found: Found) -> None:
    for shape, rates in found.rates.items():
        rounds, ratios = rates.rounds, [one.ratio for one in rates.rounds]
        print(
            f"{shape}, {_described(SHAPES[shape])}: "
            f"bare {statistics.median(one.bare.rate(one.count) for one in rounds):.0f}/s, alerts "
            f"{statistics.median(one.ours.rate(one.count) for one in rounds):.0f}/s: ratio {rates.ratio:.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f}), until all is done {rates.settled_ratio:.2f}"
        )
        for name, times in (
            ("POST to 2xx", [one.ours.times for one in rounds]),
            ("bare signal-with-start", [one.bare.times for one in rounds]),
            ("POST to first page", [one.ours.notified for one in rounds]),
        ):
            print(f"  {name}: {_shown(Times([second for each in times for second in each.seconds]))}")
    if found.lags:
        print(f"idle, POST to 2xx: {_shown(found.lags.taken)}")
        print(f"idle, POST to webhook: {_shown(found.lags.ours)}")
        theirs = found.lags.alertmanagers
        print(f"idle, Alertmanager's POST to webhook: {_shown(theirs) if theirs else 'there is none here'}")
    if found.lateness:
        print(f"escalations come late by {_shown(found.lateness)}")
    print(f"load average {os.getloadavg()[0]:.1f}")


def _described(shape: Shape) -> str:
    return f"{shape.count} alerts of {shape.keys} keys, {shape.at_once} at once"


def _shown(times: Times) -> str:
    return f"p50 {times.at(0.5):.0f} ms, p99 {times.at(0.99):.0f} ms, of {len(times.seconds)}"


def _as_json(found: Found) -> dict[str, object]:
    return {
        "shapes": {name: _rates_as_json(rates) for name, rates in found.rates.items()},
        "idle": found.lags
        and {
            "answered": _quantiles(found.lags.taken),
            "notified": _quantiles(found.lags.ours),
            "alertmanager": found.lags.alertmanagers and _quantiles(found.lags.alertmanagers),
        },
        "lateness": found.lateness and _quantiles(found.lateness),
        "load_average": os.getloadavg()[0],
    }


def _rates_as_json(rates: Rates) -> dict[str, object]:
    return {
        "ratio": rates.ratio,
        "settled_ratio": rates.settled_ratio,
        "rounds": [
            {
                "ratio": one.ratio,
                "settled_ratio": one.settled_ratio,
                "bare_per_second": one.bare.rate(one.count),
                "alerts_per_second": one.ours.rate(one.count),
                "answered": _quantiles(one.ours.times),
                "notified": _quantiles(one.ours.notified),
                "processor_ms": one.ours.computed,
                "bare_processor_ms": one.bare.computed,
            }
            for one in rates.rounds
        ],
    }


def _quantiles(times: Times) -> dict[str, float]:
    return {"p50_ms": times.at(0.5), "p99_ms": times.at(0.99), "mean_ms": times.mean, "count": len(times.seconds)}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
