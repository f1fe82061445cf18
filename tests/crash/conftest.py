import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.stories import Story
from tests.crash.trial import Stage
from tests.whole.platform import Platform

FULL = os.environ.get("HOLDFAST_CRASH") == "full"


@pytest.fixture(scope="package")
def mortal_platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Platform]:
    """A whole stack, shared by the tests of this folder in a process, whose workers die where they are told to."""
    folder = tmp_path_factory.mktemp("mortal")
    platform = Platform(folder, up_command=(sys.executable, "-m", "tests.crash.up"))
    try:
        platform.start()
        yield platform
    finally:
        platform.end()


class Stages:
    """A stage per story, kept for the next trial as long as the last one ended right."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._built: dict[str, Stage] = {}

    def of(self, story: Story) -> Stage:
        stage = self._built.get(story.name)
        if stage is None or stage.disturbed:
            if stage:
                self._platform.retire(stage.shop)
            stage = self._built[story.name] = Stage.build(self._platform, story)
        return stage


@pytest.fixture(scope="package")
def stages(mortal_platform: Platform) -> Stages:
    return Stages(mortal_platform)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the trials: each is one test in which something was killed."""
    counts = {
        outcome: sum(
            "_dies_" in report.nodeid or "death" in report.nodeid for report in terminalreporter.getreports(outcome)
        )
        for outcome in ("passed", "failed")
    }
    if any(counts.values()):
        trials = sum(counts.values())
        terminalreporter.write_line(f"crash trials: {trials}, failures: {counts['failed']}")
