"""Whether the `holdfast` command always leaves with the right exit code: `make exit-codes`.

A short-lived process that used Temporal's SDK may abort in the interpreter's shutdown (temporalio/sdk-python issue
300), most of all on a busy machine. So: short commands, many times, two at a time, beside programs that burn the
processor. Exits 1 when a single code is wrong.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from ruamel.yaml import YAML

from examples.stagehand import EndedEarly, Stagehand

ROOT = Path(__file__).resolve().parent.parent
HOLDFAST = (sys.executable, "-m", "starters.main")
RUNNERS = 2
PATIENCE_SECONDS = 120

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
    with tempfile.TemporaryDirectory(prefix="holdfast-exit-codes-") as folder:
        home = Path(folder)
        env = _environment(home)
        with Stagehand(ROOT, env) as stagehand:
            stagehand.start("the local stack", (*HOLDFAST, "up"), home / "up.log")
            stagehand.wait((home / "stack.json").exists)
            _run(("deploy", "shop", "v1", "--wait"), env)
            for number in range(options.burners):
                stagehand.start(f"burner {number}", (sys.executable, "-c", "while True: pass"), home / "burners.log")
            began = time.monotonic()
            with ThreadPoolExecutor(RUNNERS) as runners:
                commands = list(islice(cycle(EXPECTED), options.runs))
                codes = list(runners.map(lambda command: _run(command, env), commands))
            took = time.monotonic() - began
    wrong = _tell(Counter(zip(commands, codes, strict=True)))
    print(f"\n{options.runs - wrong} of {options.runs} exit codes right, {wrong} wrong, in {took:.0f} s.")
    return 1 if wrong else 0


def _environment(home: Path) -> dict[str, str]:
    """A stack of its own on free ports, and the example's shop on a free port."""
    catalog = YAML(typ="safe").load(ROOT / "examples" / "shop" / "holdfast.yaml")
    shop = catalog["services"]["shop"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        shop["traffic"]["listen"] = f"127.0.0.1:{probe.getsockname()[1]}"
    shop["deploy"]["working_directory"] = str(ROOT)
    with (home / "holdfast.yaml").open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(catalog, written)
    own = {f"HOLDFAST_{name}_PORT": "0" for name in ("TEMPORAL", "UI", "ENVOY_ADMIN")}
    return {**os.environ, **own, "HOLDFAST_HOME": str(home), "HOLDFAST_CATALOG": str(home / "holdfast.yaml")}


def _run(command: Command, env: dict[str, str]) -> int:
    """The exit code, negative for a signal. What a command says is shown when the code is wrong."""
    run = subprocess.run(
        [*HOLDFAST, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
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
