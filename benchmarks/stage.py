"""A local stack of its own, with the example's shop at v1: for what measures the product, or takes its picture."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from examples.stagehand import Stagehand
from providers.host_ports import free_port

ROOT = Path(__file__).resolve().parent.parent
HOLDFAST = (sys.executable, "-m", "starters.main")
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Stage:
    """`env` is what the `holdfast` command needs to see this stack and its shop."""

    home: Path
    env: dict[str, str]
    shop: str
    stagehand: Stagehand

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `holdfast` with these words."""
        return subprocess.run(
            [*HOLDFAST, *words],
            cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    def users(self, rate: int = 50) -> None:
        """So many requests a second from now on."""
        report = self.home / "traffic.json"
        program = (sys.executable, "-m", "examples.shop.traffic", "--url", self.shop, "--rate", str(rate))
        self.stagehand.start("the users", (*program, "--report-file", str(report)), self.home / "traffic.log")
        self.stagehand.wait(report.exists)


@contextmanager
def shop_at_v1() -> Iterator[Stage]:
    """Everything in a folder and on ports of its own; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        home = Path(folder)
        listen = f"127.0.0.1:{free_port()}"
        own = {f"HOLDFAST_{name}_PORT": "0" for name in ("TEMPORAL", "UI", "ENVOY_ADMIN", "GATEWAY")}
        catalog = _catalog(home, listen)
        env = {**os.environ, **own, "HOLDFAST_HOME": str(home), "HOLDFAST_CATALOG": str(catalog)}
        with Stagehand(ROOT, env) as stagehand:
            stagehand.start("the local stack", (*HOLDFAST, "up"), home / "up.log")
            stagehand.wait((home / "stack.json").exists)
            stage = Stage(home=home, env=env, shop=f"http://{listen}", stagehand=stagehand)
            stage.run("deploy", "shop", "v1", "--wait").check_returncode()
            yield stage


def _catalog(home: Path, listen: str) -> Path:
    """The example's, with another port."""
    yaml = YAML(typ="safe")
    content = yaml.load(ROOT / "examples" / "shop" / "holdfast.yaml")
    content["services"]["shop"]["traffic"]["listen"] = listen
    content["services"]["shop"]["deploy"]["working_directory"] = str(ROOT)
    path = home / "holdfast.yaml"
    yaml.dump(content, path)
    return path
