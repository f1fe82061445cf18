"""The demo: a real service behind a real proxy, a good version promoted, a bad one taken back by itself.

It does what a person would do, with the `holdfast` command; run it with `make demo`. What it starts it also ends,
whether it ends by itself, by Ctrl-C or by a signal.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from os import environ
from pathlib import Path

from devstack.errors import AlreadyRunning, StackError
from devstack.record import holding
from examples.stagehand import EndedEarly, ProgramDiedError, Stagehand, leave
from models.quantities import port_of
from providers.errors import ProviderError
from providers.host_ports import holder_of, is_free
from runtime.catalog_file import CatalogError, load_catalog
from runtime.settings import Settings, SettingsError, load_settings
from workers.wiring import halt_instances

ROOT = Path(__file__).resolve().parent.parent
SHOPS_CATALOG = ROOT / "examples" / "shop" / "holdfast.yaml"
RATE = 50
START_LIMIT_SECONDS = 600
SETTLED_WITHIN_SECONDS = 5
HOLDFAST = (sys.executable, "-m", "starters.main")


class DemoError(Exception):
    """The demo did not go as it should; the sentence says where to look."""


@dataclass(frozen=True)
class Demo:
    """Where the demo keeps its state, a folder of its own that is begun afresh each time, and where its shop is."""

    settings: Settings
    catalog: Path
    listen: str

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def shop(self) -> str:
        return f"http://{self.listen}"

    @property
    def record(self) -> Path:
        return self.home / "stack.json"

    @property
    def log(self) -> Path:
        return self.home / "logs" / "up.log"

    @property
    def report(self) -> Path:
        return self.home / "traffic.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="A good rollout and a bad one.")
    parser.add_argument("--catalog", type=Path, default=SHOPS_CATALOG, help="a catalog with a shop like examples/shop")
    catalog: Path = parser.parse_args(arguments).catalog
    code = 0
    try:
        demo = _prepare(catalog.absolute())
        env = {**environ, "HOLDFAST_HOME": str(demo.home), "HOLDFAST_CATALOG": str(demo.catalog)}
        with Stagehand(ROOT, env) as stagehand:
            _perform(demo, stagehand)
            if sys.stdout.isatty():
                code = _stay(demo, stagehand)
    except EndedEarly as early:
        code = early.exit_code
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    except (DemoError, ProgramDiedError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    with suppress(BrokenPipeError):
        print("\nEverything is stopped.", flush=True)
    return code


def _prepare(catalog: Path) -> Demo:
    """Make room: nothing of an earlier demo is left, and the shop's port is free."""
    try:
        settings = load_settings()
        settings = settings.model_copy(update={"home": ROOT / settings.home / "demo"})
        listen = load_catalog(catalog).services["shop"].traffic.listen
        with holding(settings.home):
            # A demo that was killed may have left its shop running.
            asyncio.run(halt_instances(settings, print))
            shutil.rmtree(settings.home)
    except AlreadyRunning as running:
        raise DemoError(f"{running} End it with Ctrl-C where it runs, or with `kill {running.pid}`.") from running
    except KeyError as error:
        raise DemoError(f"{catalog} has no service shop; the demo needs one like that of {SHOPS_CATALOG}.") from error
    except (SettingsError, CatalogError, StackError, ProviderError) as error:
        raise DemoError(str(error)) from error
    if not is_free(port_of(listen)):
        raise DemoError(
            f"Port {port_of(listen)}, for the shop, is taken by {holder_of(port_of(listen)) or 'a process of others'}. "
            "End that, or give --catalog a copy of the shop's catalog with another port under traffic.listen."
        )
    return Demo(settings=settings, catalog=catalog, listen=listen)


def _perform(demo: Demo, stagehand: Stagehand) -> None:
    began = time.monotonic()
    _stack_up(demo, stagehand)
    _deploy(demo, stagehand, "v1", "The first version: shop v1", expect=0)
    print(f"\nUsers arrive: {RATE} requests a second at {demo.shop}")
    stagehand.start("the users' traffic", _users(demo), demo.home / "logs" / "traffic.log")
    stagehand.wait(demo.report.exists)
    _deploy(demo, stagehand, "v2", "A good version: shop v2, 10 %, then 50 %, then all", expect=0)
    before = _report(demo)
    heading = "A bad version: shop v3 answers 20 % of its requests with errors"
    taken_back = _deploy(demo, stagehand, "v3", heading, expect=1)
    after = _settled_report(demo, stagehand)
    _summary(taken_back, before, after)
    print(f"\nThe demo took {time.monotonic() - began:.0f} s.")


def _users(demo: Demo) -> tuple[str, ...]:
    program = (sys.executable, "-m", "examples.shop.traffic")
    return (*program, "--url", demo.shop, "--rate", str(RATE), "--report-file", str(demo.report))


def _stack_up(demo: Demo, stagehand: Stagehand) -> None:
    _heading("The local stack: Temporal, Envoy and the workers")
    demo.log.parent.mkdir(parents=True)
    began = time.monotonic()
    told = 0

    def is_up() -> bool:
        nonlocal told
        told = _tell_new_sentences(demo.log, told)
        if time.monotonic() - began > START_LIMIT_SECONDS:
            raise DemoError(f"the stack was not up within {START_LIMIT_SECONDS} s; see {demo.log}")
        return demo.record.exists()

    stagehand.start("the local stack", (*HOLDFAST, "up"), demo.log)
    try:
        stagehand.wait(is_up)
    except ProgramDiedError as error:
        raise DemoError(f"the stack did not start.\n{_last_words(demo.log)}") from error
    print(f"Up after {time.monotonic() - began:.1f} s. The Temporal UI: {_ui(demo)}")


def _deploy(demo: Demo, stagehand: Stagehand, version: str, heading: str, *, expect: int) -> dict[str, str]:
    """Run `holdfast deploy shop VERSION --wait --json`: its live view is shown, its result returned."""
    _heading(heading)
    print(f"$ holdfast deploy shop {version} --wait", flush=True)
    code, output = stagehand.run((*HOLDFAST, "deploy", "shop", version, "--wait", "--json"))
    if code != expect:
        raise DemoError(f"deploying {version} ended with exit code {code}, not {expect}; see {demo.log}")
    result: dict[str, str] = json.loads(output)
    return result


def _summary(result: dict[str, str], before: dict[str, int], after: dict[str, int]) -> None:
    exposed, decided, off = (datetime.fromisoformat(result[at]) for at in ("exposed_at", "decided_at", "off_at"))
    sent, failed = after["sent"] - before["sent"], after["failed"] - before["failed"]
    _heading("What happened")
    print(f"The shop is back at {result['stable']}, as {result['reason']}.")
    print(f"  judged bad after  {(decided - exposed).total_seconds():5.1f} s of its first traffic")
    print(f"  off all traffic   {(off - decided).total_seconds():5.1f} s after that")
    print(
        f"  users' requests   {sent:5} during the rollout of v3, {failed} failed ({100 * failed / max(1, sent):.1f} %)"
    )
    print(f"  since the start   {after['sent']:5} requests, {after['failed']} failed")


def _stay(demo: Demo, stagehand: Stagehand) -> int:
    """Keep everything up until Ctrl-C, which is how it is meant to end."""
    env_file = demo.home / "env"
    path = Path(sys.executable).parent
    env_file.write_text(
        f'export HOLDFAST_HOME="{demo.home}" HOLDFAST_CATALOG="{demo.catalog}" PATH="{path}:$PATH"\n', encoding="utf-8"
    )
    print(f"\nEverything stays up to play with: the shop at {demo.shop}, the Temporal UI at {_ui(demo)}.")
    print("In another terminal:\n")
    print(f"  . {env_file.relative_to(Path.cwd()) if env_file.is_relative_to(Path.cwd()) else env_file}")
    print("  holdfast deploy shop v4 --wait     # a slow version")
    print("  holdfast status shop\n")
    print("Ctrl-C here stops everything.", flush=True)
    try:
        stagehand.wait(lambda: False)
    except EndedEarly as early:
        print("\nStopping ...", flush=True)
        return 0 if early.exit_code == 128 + signal.SIGINT else early.exit_code
    return 0


def _ui(demo: Demo) -> str:
    return f"http://{json.loads(demo.record.read_text())['ui']}"


def _report(demo: Demo) -> dict[str, int]:
    report: dict[str, int] = json.loads(demo.report.read_text())
    return report


def _settled_report(demo: Demo, stagehand: Stagehand) -> dict[str, int]:
    """The traffic report once every request that was sent before now has been answered, or is late."""
    sent = _report(demo)["sent"]
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS

    def settled() -> bool:
        report = _report(demo)
        return report["ok"] + report["failed"] >= sent or time.monotonic() > deadline

    stagehand.wait(settled)
    return _report(demo)


def _tell_new_sentences(log: Path, told: int) -> int:
    """Tell what `holdfast up` itself says in its log, not what its children do. Returns the lines seen so far."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in lines[told:]:
        name, bar, sentence = line.partition(" │ ")
        if bar and name.strip() == "up":
            print(f"  {sentence}", flush=True)
    return len(lines)


def _last_words(log: Path) -> str:
    """What `holdfast up` complained of; else the end of its log."""
    said = log.read_text(errors="replace")
    _, complained, complaint = said.rpartition("holdfast: ")
    return complaint.strip() if complained else "\n".join(said.splitlines()[-15:])


def _heading(text: str) -> None:
    width = min(100, shutil.get_terminal_size().columns)
    print(f"\n{'─' * width}\n{text}\n{'─' * width}", flush=True)


if __name__ == "__main__":
    leave(main())
