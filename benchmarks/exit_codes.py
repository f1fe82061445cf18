"""Whether the `holdfast` command always leaves with the right exit code: `make exit-codes`.

A short-lived process that used Temporal's SDK may abort in the interpreter's shutdown (temporalio/sdk-python issue
300), most of all on a busy machine. So: short commands, many times, two at a time, beside programs that burn the
processor. Exits 1 when a single code is wrong.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

from benchmarks.stage import Stage, shop_at_v1
from examples.stagehand import EndedEarly

RUNNERS = 2

EXPECTED = {
    ("status",): 0,
    ("status", "shop", "--json"): 0,
    ("catalog", "check"): 0,
    ("deploy", "shop", "v1", "--wait"): 0,
    ("status", "shpo"): 2,
    ("abort", "shop"): 3,
}
"""Version v1 is stable and no rollout is under way. A deployment of what is stable already ends at once."""

Command = tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exit_codes", description="Count wrong exit codes.")
    parser.add_argument("--runs", type=int, default=200, help="how many commands in all")
    parser.add_argument("--burners", type=int, default=2, help="how many programs burn the processor meanwhile")
    options = parser.parse_args(arguments)
    with shop_at_v1() as stage:
        for number in range(options.burners):
            burner = (sys.executable, "-c", "while True: pass")
            stage.stagehand.start(f"burner {number}", burner, stage.home / "burners.log")
        began = time.monotonic()
        with ThreadPoolExecutor(RUNNERS) as runners:
            commands = list(islice(cycle(EXPECTED), options.runs))
            codes = list(runners.map(lambda command: _run(stage, command), commands))
        took = time.monotonic() - began
    wrong = _tell(Counter(zip(commands, codes, strict=True)))
    print(f"\n{options.runs - wrong} of {options.runs} exit codes right, {wrong} wrong, in {took:.0f} s.")
    return 1 if wrong else 0


def _run(stage: Stage, command: Command) -> int:
    """The exit code, negative for a signal. What a command says is shown when the code is wrong."""
    run = stage.run(*command)
    if run.returncode != EXPECTED[command]:
        print(f"holdfast {' '.join(command)}: exit code {run.returncode}\n{run.stderr}", file=sys.stderr)
    return run.returncode


def _tell(counts: Counter[tuple[Command, int]]) -> int:
    """A line for each command; returns how many codes were wrong."""
    print(f"{'command':<40} {'expected':>8} {'right':>6} {'wrong':>6}")
    all_wrong = 0
    for command, expected in EXPECTED.items():
        right = counts[command, expected]
        wrong = sum(count for (ran, _), count in counts.items() if ran == command) - right
        print(f"{'holdfast ' + ' '.join(command):<40} {expected:>8} {right:>6} {wrong:>6}")
        all_wrong += wrong
    return all_wrong


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EndedEarly as early:
        sys.exit(early.exit_code)
