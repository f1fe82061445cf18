"""Keeps a trail until it is killed: adds samples from a number on, tells each that is kept, ships all the while."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from records.evidence_spool import EvidenceSpool, SampleStore, ship
from records.store import RecordStore
from tests.records.trails import KEY, a_sample


async def main(url: str, folder: Path, first: int) -> None:
    spool = EvidenceSpool(folder)
    store = RecordStore(SecretStr(url), folder)

    async def opened() -> SampleStore:
        return store

    shipping = asyncio.create_task(ship(spool, opened, every=timedelta(milliseconds=1)))
    for number in range(first, first + 100_000):
        spool.add(KEY, [a_sample(number)])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        await asyncio.sleep(0.001)
    await shipping


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
