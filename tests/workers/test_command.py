import asyncio
import os
import sys
from pathlib import Path

from tests.workers.process import REPOSITORY


async def test_an_unknown_group_is_a_usage_error_that_lists_the_groups(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starters.main", "worker", "pizza",
        cwd=REPOSITORY, env=os.environ | {"HOLDFAST_HOME": str(tmp_path)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert (
        "'pizza'; name one or more of rollouts, deploys, traffic, guards, incidents, notifications, records, or all"
        in said.decode()
    )
