"""The demo: a real service behind a real proxy, a good version promoted, a bad one taken back by itself.

It does what a person would do, with the `holdfast` command; run it with `make demo`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOG = ROOT / "examples" / "shop" / "holdfast.yaml"
SHOP = "http://127.0.0.1:18080"
RATE = 50
START_LIMIT_SECONDS = 600
HOLDFAST = (sys.executable, "-m", "starters.main")


class DemoError(Exception):
    """The demo did not go as it should; the sentence says where to look."""


@dataclass(frozen=True)
class Demo:
    """Where the demo keeps its state: a folder of its own, begun afresh each time."""

    home: Path
    env: dict[str, str]

    @property
    def record(self) -> Path:
        return self.home / "stack.json"

    @property
    def up_log(self) -> Path:
        return self.home / "logs" / "up.log"

    @property
    def report(self) -> Path:
        return self.home / "traffic.json"


def main() -> int:
    home = ROOT / ".holdfast" / "demo"
    env = {**os.environ, "HOLDFAST_HOME": str(home), "HOLDFAST_CATALOG": str(CATALOG)}
    demo = Demo(home=home, env=env)
    ours: list[subprocess.Popen[bytes]] = []
    try:
        ours.append(_stack_up(demo))
        _deploy(demo, "v1", "The first version: shop v1", expect=0)
        ours.append(_traffic_on(demo))
        _deploy(demo, "v2", "A good version: shop v2, 10 %, then 50 %, then all", expect=0)
        before = _report(demo)
        taken_back = _deploy(demo, "v3", "A bad version: shop v3 answers 20 % of its requests with errors", expect=1)
        _summary(demo, taken_back, before)
        if sys.stdout.isatty():
            _stay(demo, ours[0])
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    finally:
        for process in reversed(ours):
            _stop(process)
    print("Everything is stopped.")
    return 0


def _stack_up(demo: Demo) -> "subprocess.Popen[bytes]":
    _heading("The local stack: Temporal, Envoy and the workers")
    if _running(demo):
        raise DemoError("a demo is up already in another terminal; end it there with Ctrl-C.")
    shutil.rmtree(demo.home, ignore_errors=True)
    demo.up_log.parent.mkdir(parents=True)
    began = time.monotonic()
    log = demo.up_log.open("wb")
    up = subprocess.Popen([*HOLDFAST, "up"], cwd=ROOT, env=demo.env, stdout=log, stderr=log, start_new_session=True)
    told = 0
    while not demo.record.exists():
        told = _tell_new_lines(demo.up_log, told)
        if up.poll() is not None:
            raise DemoError(f"the stack did not start:\n{_tail(demo.up_log)}")
        if time.monotonic() - began > START_LIMIT_SECONDS:
            _stop(up)
            raise DemoError(f"the stack was not up within {START_LIMIT_SECONDS} s; see {demo.up_log}")
        time.sleep(0.1)
    print(f"Up after {time.monotonic() - began:.1f} s. The Temporal UI: http://{_stack(demo)['ui']}")
    return up


def _traffic_on(demo: Demo) -> "subprocess.Popen[bytes]":
    print(f"\nUsers arrive: {RATE} requests a second at {SHOP}")
    return subprocess.Popen(
        [sys.executable, "-m", "examples.shop.traffic", "--url", SHOP, "--rate", str(RATE), "--seconds", "86400",
         "--report-file", str(demo.report)],
        cwd=ROOT,
        env=demo.env,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def _deploy(demo: Demo, version: str, heading: str, *, expect: int) -> dict[str, str]:
    """Run `holdfast deploy shop VERSION --wait --json`: the live view goes to stderr, the result to stdout."""
    _heading(heading)
    print(f"$ holdfast deploy shop {version} --wait", flush=True)
    run = subprocess.run(
        [*HOLDFAST, "deploy", "shop", version, "--wait", "--json"],
        cwd=ROOT, env=demo.env, stdout=subprocess.PIPE, stderr=None, check=False,
    )  # fmt: skip
    if run.returncode != expect:
        raise DemoError(f"deploying {version} ended with exit code {run.returncode}, not {expect}; see {demo.up_log}")
    result: dict[str, str] = json.loads(run.stdout)
    return result


def _summary(demo: Demo, result: dict[str, str], before: dict[str, int]) -> None:
    after = _settled_report(demo, before)
    exposed, decided, off = (datetime.fromisoformat(result[at]) for at in ("exposed_at", "decided_at", "off_at"))
    sent, failed = after["sent"] - before["sent"], after["failed"] - before["failed"]
    _heading("What happened")
    print(f"v3 was taken back because {result['reason']}.")
    print(f"  judged bad after   {(decided - exposed).total_seconds():5.1f} s of its first traffic")
    print(f"  off all traffic    {(off - decided).total_seconds():5.1f} s after that")
    print(
        f"  users' requests    {sent} during the rollout of v3, {failed} failed ({100 * failed / max(1, sent):.1f} %)"
    )
    print(f"  since the start    {after['sent']} requests, {after['failed']} failed")
    print(f"\nThe Temporal UI: http://{_stack(demo)['ui']}  The shop: {SHOP}")


def _stay(demo: Demo, up: "subprocess.Popen[bytes]") -> None:
    env_file = demo.home / "env"
    env_file.write_text(
        f'export HOLDFAST_HOME="{demo.home}" HOLDFAST_CATALOG="{CATALOG}" PATH="{Path(sys.executable).parent}:$PATH"\n'
    )
    print("\nEverything stays up to play with. In another terminal:\n")
    print(f"  . {env_file.relative_to(ROOT)}")
    print("  holdfast deploy shop v4 --wait     # a slow version")
    print("  holdfast status shop\n")
    print("Ctrl-C here stops everything.")
    up.wait()


def _running(demo: Demo) -> bool:
    probe = subprocess.run([*HOLDFAST, "doctor", "--json"], cwd=ROOT, env=demo.env, capture_output=True, check=False)
    checks = json.loads(probe.stdout)["checks"] if probe.stdout else []
    return any(check["name"] == "local stack" and check["found"].startswith("runs") for check in checks)


def _stack(demo: Demo) -> dict[str, str]:
    record: dict[str, str] = json.loads(demo.record.read_text())
    return record


def _report(demo: Demo) -> dict[str, int]:
    report: dict[str, int] = json.loads(demo.report.read_text())
    return report


def _settled_report(demo: Demo, before: dict[str, int]) -> dict[str, int]:
    """The traffic report once it includes the requests that were under way when the rollout ended."""
    deadline = time.monotonic() + 5
    first = _report(demo)
    while (latest := _report(demo))["sent"] == first["sent"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return latest if latest["sent"] > before["sent"] else first


def _tell_new_lines(log: Path, told: int) -> int:
    lines = log.read_text(errors="replace").splitlines()
    for line in lines[told:]:
        print(f"  {line}", flush=True)
    return len(lines)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def _heading(text: str) -> None:
    width = min(100, shutil.get_terminal_size().columns)
    print(f"\n{'─' * width}\n{text}\n{'─' * width}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
