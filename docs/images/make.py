"""Takes the pages' pictures from a real rollout on a stack of its own: `make pictures`.

deploy.svg is what `holdfast deploy shop v3 --wait` shows at two moments, the last before the decision and the end;
rollout.svg is what `holdfast picture` draws of it.
ui.png is the Temporal UI's page of that rollout; it stays as it is where there is no Chromium.
"""

import asyncio
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from benchmarks.stage import Stage, shop_at_v1
from examples.stagehand import EndedEarly
from models.ids import ServiceRef, rollout_id
from models.rollout import Phase
from runtime.client import connect
from runtime.settings import Settings
from starters.handles import rollout_of
from starters.live import picture
from starters.observing import Observation, observe

HERE = Path(__file__).resolve().parent
SHOP = ServiceRef(environment="local", service="shop")
LOOK_EVERY_SECONDS = 0.05
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_SECONDS = 60
MOST_KIB = 200


@dataclass(frozen=True)
class Look:
    """What was seen at a moment, and how it looked then."""

    at: datetime
    seen: Observation
    shown: RenderableType


def main() -> int:
    with shop_at_v1() as stage:
        stage.users()
        address = str(json.loads((stage.home / "stack.json").read_text())["temporal"])
        stage.run("deploy", "shop", "v3").check_returncode()
        looks, run_id = asyncio.run(_watched(address))
        _draw_deploy(looks)
        _draw_rollout(stage)
        return _photograph_ui(stage, run_id)


async def _watched(address: str) -> tuple[list[Look], str]:
    client = await connect(Settings(), address=address)
    handle = rollout_of(client, SHOP)
    looks: list[Look] = []
    seen = Observation()
    while seen.open:
        seen = await observe(handle, seen)
        looks.append(Look(datetime.now(UTC), seen, picture(seen)))
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return looks, (await handle.describe()).run_id


def _draw_deploy(looks: list[Look]) -> None:
    end = looks[-1]
    if not end.seen.state or end.seen.state.phase is not Phase.ROLLED_BACK:
        raise RuntimeError("the rollout was not taken back, so there is no picture of that")
    before = next(look for look in reversed(looks) if look.seen.progress and look.seen.progress.candidate.errors)
    console = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ holdfast deploy shop v3 --wait", "bold"))
    console.print(before.shown)
    console.print(Text(f"\n... {(end.at - before.at).total_seconds():.1f} s later", "dim italic"))
    console.print(end.shown)
    svg = console.export_svg(title="holdfast", unique_id="deploy")
    # Fonts of other hosts are not loaded from within a picture.
    (HERE / "deploy.svg").write_text(re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")


def _draw_rollout(stage: Stage) -> None:
    with tempfile.TemporaryDirectory(prefix="holdfast-picture-") as folder:
        stage.run("picture", "shop", "--format", "svg", "--out", folder).check_returncode()
        (drawn,) = Path(folder).iterdir()
        shutil.copy(drawn, HERE / "rollout.svg")


def _photograph_ui(stage: Stage, run_id: str) -> int:
    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if chromium is None:
        sys.stderr.write("ui.png is left as it was: there is no Chromium.\n")
        return 1
    ui = json.loads((stage.home / "stack.json").read_text())["ui"]
    page = f"http://{ui}/namespaces/default/workflows/{rollout_id(SHOP).replace('/', '%2F')}/{run_id}/user-metadata"
    picture_file = HERE / "ui.png"
    with tempfile.TemporaryDirectory(prefix="holdfast-chromium-") as profile:
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             f"--user-data-dir={profile}", f"--screenshot={picture_file}", "--window-size=1400,1000",
             "--virtual-time-budget=15000", page],
            check=True, capture_output=True, timeout=CHROMIUM_SECONDS,
        )  # fmt: skip
    size = picture_file.stat().st_size // 1024
    sys.stdout.write(f"deploy.svg and ui.png ({size} KiB) are taken. Look at both before you commit them.\n")
    return 0 if size < MOST_KIB else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EndedEarly as early:
        sys.exit(early.exit_code)
