"""How often the judge is wrong, and how soon it is right, beside other tools' rules: `make bench-judge`.

Made-up traffic with a known truth: requests of the candidate and of the stable version are Poisson, 1% of them fail
(x `ratio` for the candidate), and a cell adds what services do besides. Each factor is varied around one base cell
(200 requests/min for the candidate, which has 5% of the traffic); traffic x ratio is crossed in full, as are traffic
with each kind of noise, share, missing data, outage and onset, at the ratios that matter there. "Traffic" is what the
candidate answers a minute; "share" says how much more the stable version has.

  independent   nothing but chance
  own           each arm's rate wanders by itself: its logarithm is AR(1) from minute to minute, deviation 0.3
                (or "swing")
  shared        the same wandering for both arms
  daily         traffic and rate swing by half over a day
  restarts      an instance fails half of its requests for 10 s, every 6 h on average; the candidate has 1 of 20
  lost          readings of an arm fail for whole minutes at random; outage: all of them for 10 min. The judge reads
                counters, so the next reading of both arms makes up for it; other rules lack those minutes
  gone          the same, and the counts are gone for good

A trace is watched for 60 minutes after the onset. Before it the judge learns the noise from 24 h in which a group of
the stable version as large as the candidate ran beside the rest; "no history" cells have none. What a rule would do is
taken from the same traces for all; "bad" counts the candidate's failures until it is rolled back, or to the end.
Parameters were tuned with other seeds than the default one. Without --cells the watch after promotion and the time that
a judgement takes are measured too.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context

from benchmarks.judge_cells import Cell, cells
from benchmarks.judge_measure import Measured, learnt_from, measure
from benchmarks.judge_report import checks, speed_check, table, watch_checks
from benchmarks.judge_speed import measure_speed
from benchmarks.judge_watch import watch_alone
from models.evidence import EvidenceSpec

SEED = 20_261_121


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = [cell for cell in cells() if all(word in cell.name for word in options.cells)]
    if not chosen:
        _say(f"No cell has {' and '.join(options.cells)} in its name; --list names them all.")
        return 2
    if options.list:
        print("\n".join(cell.name for cell in chosen))
        return 0
    spec = EvidenceSpec()
    measured = _measure(chosen, options, spec)
    found = checks(measured, spec)
    if not options.cells:
        found += [*watch_checks(watch_alone(options.seed)), speed_check(*measure_speed())]
    if options.json:
        print(
            json.dumps({"cells": [asdict(each) for each in measured], "checks": [asdict(c) for c in found]}, indent=2)
        )
    else:
        print("\n".join(table(measured)))
        print()
        for check in found:
            print(f"{'' if not check.binding else 'held: ' if check.held else 'NOT held: '}{check.text}")
    return 0 if all(check.held for check in found if check.binding) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cells", action="append", default=[], metavar="WORDS", help="only cells with this in the name"
    )
    parser.add_argument("--traces", type=int, default=2000, metavar="N", help="traces a cell")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--tick", type=float, default=5.0, help="seconds between two readings; must divide 60")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes; the figures are the same")
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    parser.add_argument("--json", action="store_true")
    return parser


def _measure(chosen: Sequence[Cell], options: argparse.Namespace, spec: EvidenceSpec) -> list[Measured]:
    measured: dict[str, Measured] = {}
    begun = time.monotonic()
    task = partial(_measure_alike, traces=options.traces, seed=options.seed, seconds=options.tick, spec=spec)
    alike: dict[Cell, list[Cell]] = {}
    for cell in chosen:
        alike.setdefault(learnt_from(cell), []).append(cell)
    with ExitStack() as stack:
        if options.jobs > 1:
            pool = stack.enter_context(ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")))
            groups: Iterable[list[Measured]] = pool.map(task, alike.values())
        else:
            groups = map(task, alike.values())
        for group in groups:
            measured |= {each.cell.name: each for each in group}
            last = group[-1].cell.name
            _say(f"{len(measured)} of {len(chosen)}, {math.ceil(time.monotonic() - begun)} s: {last}")
    return [measured[cell.name] for cell in chosen]


def _measure_alike(
    alike: Sequence[Cell], *, traces: int, seed: int, seconds: float, spec: EvidenceSpec
) -> list[Measured]:
    """Cells of one past, so that it is learnt from once."""
    return [measure(cell, traces=traces, seed=seed, seconds=seconds, spec=spec) for cell in alike]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
