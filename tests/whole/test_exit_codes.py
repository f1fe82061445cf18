import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole.platform import ROOT, environment


@pytest.mark.full
@pytest.mark.slow
def test_every_exit_code_is_right(tmp_path: Path, temporal_cli: Path) -> None:
    """As `make exit-codes` does, fewer times and without load of its own: other tests run beside this one."""
    command = [sys.executable, "-m", "benchmarks.exit_codes", "--runs", "24", "--burners", "0"]
    run = subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "24 of 24 exit codes right, 0 wrong" in run.stdout
