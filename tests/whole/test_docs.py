"""What the pages tell people to type works as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from runtime.catalog_file import load_catalog
from starters.main import app
from tests.whole.platform import ROOT, Platform, Shop, free_port

PAGES = tuple(sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))))

RUN_ELSEWHERE = {
    "make demo": "tests/whole/test_demo.py runs it",
    "holdfast up": "the platform that the other commands of the pages meet is started by it",
    "holdfast keeper": "tests/whole/test_keeper.py runs it",
    "make keeper": "tests/keeper/ holds the same promise, with fewer canaries",
    "make check": "it is what the CI runs",
    "make test": "it is what runs this",
    "make bench-rollouts": "tests/whole/test_rollout_benchmark.py runs a part of it",
    "make test-full": "it runs what make test leaves out",
    "make exposure": "tests/whole/test_rollouts.py runs one of its canaries",
    "make bench-judge": "tests/benchmarks/test_judge.py runs a part of it",
    "make bench-watches": "tests/whole/test_watch_benchmark.py runs a part of it",
    "make bench-equals": "tests/benchmarks/test_judge_equals.py runs a part of it",
    "make crash": "make test runs a part of it",
    "make alert-crash": "tests/crash/test_alerts.py runs a part of it",
    "make bench-alerts": "tests/whole/test_alert_benchmark.py runs a part of it",
    "make bench-storm": "tests/whole/test_alert_benchmark.py runs a part of it",
    "make exit-codes": "tests/whole/test_exit_codes.py runs it",
    "holdfast judge noise shop": "tests/starters/test_judge.py runs it, as it needs days of a past",
    "holdfast judge noise shop --rollout 1f0c9a3e": "so does it this one",
    "holdfast incident watch": "tests/starters/test_incident_watch.py runs it, as it ends with a Ctrl-C",
    "make pictures": "it changes the pages' own pictures",
}
"""Commands that run long, and who runs them."""


@dataclass(frozen=True)
class Command:
    """A line to type, and the lines that the page shows below it."""

    line: str
    shown: tuple[str, ...]

    @property
    def bare(self) -> str:
        """Without the comment beside it."""
        return re.sub(r"\s+#.*", "", self.line)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[Command]:
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *shown = part.strip().splitlines()
            found.append(Command(line, tuple(shown)))
    return found


FIRST_PAGE = Path("README.md")
PAGES_WITH_COMMANDS = [page for page in PAGES if any(each.bare not in RUN_ELSEWHERE for each in commands(page))]


@pytest.fixture
def services(platform: Platform, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The services that the pages name, with users, in an environment that no other page has; yields what names it."""
    ports = {name: free_port() for name in ("web", "shop")}
    catalog = {
        "version": 1,
        "environment": re.sub(r"[^a-z]+", "-", str(request.node.callspec.params["page"]).lower()),
        "services": {name: service(port) for name, port in ports.items()},
    }
    path = platform.folder / f"{catalog['environment']}.yaml"
    path.write_text(json.dumps(catalog))
    with ExitStack() as users:
        for name, port in ports.items():
            users.enter_context(platform.traffic(Shop(name, path, port)))
        path_of_programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        yield {"HOLDFAST_CATALOG": str(path), "PATH": path_of_programs, "HOME": str(platform.folder)}


def service(port: int) -> dict[str, object]:
    command = ["{python}", "-m", "examples.shop.server", "--port", "{port}", "--version", "{version}"]
    steps = [{"weight": "50%", "bake": "1s"}]
    return {
        "deploy": {"command": command, "working_directory": str(ROOT), "ready": {"path": "/readyz"}},
        "traffic": {"listen": f"127.0.0.1:{port}"},
        "alerts": {"rules": [{"alert": "too-many-errors", "expr": "error_rate > 50% for 2m"}]},
        "rollout": {"steps": steps, "judge": {"min_requests": 5, "compare": {"proof": False}}},
    }


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page == FIRST_PAGE else pytest.mark.full, id=str(page))
        for page in PAGES_WITH_COMMANDS
    ],
)
def test_every_command_of_the_page_works(platform: Platform, services: dict[str, str], page: Path) -> None:
    for command in commands(page):
        if command.bare in RUN_ELSEWHERE:
            continue
        run = subprocess.run(
            ["bash", "-c", command.line], cwd=ROOT, env={**platform.env, **services}, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{command.line}\n{run.stdout}\n{run.stderr}"
        for line in command.shown:
            assert line in run.stdout.splitlines(), f"{command.line} does not print {line!r} but\n{run.stdout}"


def test_no_command_is_excused_that_no_page_has() -> None:
    written = {command.bare for page in PAGES for command in commands(page)}

    assert set(RUN_ELSEWHERE) <= written


def test_every_command_stands_where_it_is_found() -> None:
    """A command in another kind of block would be run by nobody."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert len(re.findall(r"^\s*\$ ", text, re.MULTILINE)) == len(commands(page)), page


def test_the_readmes_catalog_has_no_mistakes(tmp_path: Path) -> None:
    (example,) = blocks(Path("README.md"), "yaml")
    (tmp_path / "holdfast.yaml").write_text(example)
    catalog = load_catalog(tmp_path / "holdfast.yaml")

    assert {words.split()[2] for words in readme_deployments()} == set(catalog.services)


def readme_deployments() -> list[str]:
    return [command.line for command in commands(Path("README.md")) if command.line.startswith("holdfast deploy")]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_and_path_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("https://", "http://"))]
    paths = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md|yaml))?)`", text)

    for link in links:
        target, _, heading = link.partition("#")
        there = (ROOT / page.parent / target) if target else ROOT / page
        assert there.exists(), link
        assert not heading or heading in headings(there), link
    for path in paths:
        assert (ROOT / path).exists(), path


def headings(page: Path) -> set[str]:
    return {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_verb_that_the_page_names_exists(page: Path) -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    named = set(re.findall(r"`holdfast ([a-z-]+)", (ROOT / page).read_text()))

    assert named <= set(group.commands)
