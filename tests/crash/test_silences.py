"""kill -9 of what keeps silences, while people order them: what was answered is kept, each once."""

import asyncio
import os
import uuid
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.silence_board import SilencesUnansweredError, order_silences, read_silences
from models.ids import ServiceRef
from models.silences import AddSilence, ExpireSilence, KeptSilence
from records.store import RecordStore
from runtime.plugin import holdfast_plugin
from tests.whole.platform import Platform
from tests.workflows.harness import until
from tests.workflows.silences_harness import silence

FULL = os.environ.get("HOLDFAST_CRASH") == "full"
VICTIMS = {"the worker that keeps them": ("worker", "incidents"), "the Temporal server": ("start-dev",)}
PATIENCE = timedelta(seconds=5)


async def patiently(platform: Platform, environment: str, order: AddSilence | ExpireSilence) -> KeptSilence:
    """As a person or a program does: given again until it is answered, under the same id."""
    kept: list[KeptSilence] = []

    async def taken() -> bool:
        try:
            client = await Client.connect(platform.record["temporal"], plugins=[holdfast_plugin()])
            kept.append(await order_silences(client, environment, order, PATIENCE))
        except (SilencesUnansweredError, RPCError, RuntimeError, OSError):
            return False
        return True

    await until(taken, f"{order} to be answered", within=90)
    return kept[0]


@pytest.mark.parametrize("victim", VICTIMS if FULL else ("the worker that keeps them",))
async def test_a_death_while_silences_are_ordered_loses_and_doubles_none(
    mortal_platform: Platform, victim: str
) -> None:
    environment = f"env-{uuid.uuid4().hex[:8]}"
    names = [f"s-{number}" for number in range(10)]
    ordering = asyncio.gather(
        *(patiently(mortal_platform, environment, AddSilence(spec=silence(name), by="ada")) for name in names)
    )
    await asyncio.to_thread(mortal_platform.kill, *VICTIMS[victim])
    await ordering
    await asyncio.to_thread(mortal_platform.kill, *VICTIMS[victim])
    ended = await patiently(mortal_platform, environment, ExpireSilence(id="s-3", by="bob"))
    assert ended.expired_by == "bob"

    client = await Client.connect(mortal_platform.record["temporal"], plugins=[holdfast_plugin()])
    kept = await read_silences(client, environment, PATIENCE)
    assert sorted(each.id for each in kept) == sorted(names)
    assert [each.id for each in kept if each.expired_at] == ["s-3"]

    async def recorded() -> bool:
        async with RecordStore(None, mortal_platform.home) as store:
            entries = await store.audit(ServiceRef(environment=environment, service="shop"), 100)
        told = sorted(f"{entry.what} {entry.note.partition(':')[0]}" for entry in entries)
        return told == sorted(["expire silence s-3", *(f"silence {name}" for name in names)])

    await until(recorded, "each order to be in the audit log once", within=90)
