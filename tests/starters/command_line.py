"""What a command of its own process said."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.quantities import HostPort
from tests.whole.platform import environment


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def said_by(folder: Path, address: HostPort, *words: str) -> Said:
    """`holdfast`, with the folder's catalog and this Temporal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starters.main", *words, "--catalog", str(folder / "holdfast.yaml"),
        env=environment(folder, HOLDFAST_TEMPORAL_ADDRESS=address, TZ="UTC"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())
