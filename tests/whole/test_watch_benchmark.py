"""The benchmark of many watches at once, with few."""

import json
import subprocess
import sys

import pytest

from tests.whole.platform import ROOT


@pytest.mark.full
def test_every_watch_looks_and_what_is_asked_for_is_told_by_the_exit_code() -> None:
    command = [sys.executable, "-m", "benchmarks.watches", "--watches", "120", "--seconds", "5", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)

    found = json.loads(run.stdout)
    assert (found["watches"], found["blind"]) == (120, 0)
    assert 0 < found["looks"][0] <= found["looks"][1] <= found["looks"][2]
    assert run.returncode == (0 if found["held"] else 1)
