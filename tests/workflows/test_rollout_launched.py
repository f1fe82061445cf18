"""Asking for a rollout while another of the service is under way."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from models.ids import parse_rollout_id
from models.rollout import Phase, RolloutRequest
from starters.exits import CommandError
from starters.launching import IfBusy, launch, turn_of
from tests.factories import a_request, a_service, keeping
from tests.workflows.harness import Bench, Handle, until_phase
from tests.workflows.world import FakeWorld


def next_to(handle: Handle, version: str) -> RolloutRequest:
    return a_request(version).model_copy(update={"ref": parse_rollout_id(handle.id), "id": uuid.uuid4().hex})


async def test_what_comes_next_is_not_thrown_out_by_one_that_would_rather_be_refused(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("stop v1")
    handle = await real_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=1))))
    await until_phase(handle, Phase.KEEPING)
    await launch(real_bench.client, next_to(handle, "v3"), IfBusy.REFUSE)
    await world.stuck.wait()
    with pytest.raises(CommandError, match="under way"):
        await launch(real_bench.client, next_to(handle, "v4"), IfBusy.REFUSE)
    world.endless.clear()
    result = await handle.result()

    assert result.version == "v3"


async def test_waiting_for_a_turn_ends_when_the_rollout_before_is_ended_by_force(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await real_bench.start(world)
    await world.watching.wait()
    newer = next_to(handle, "v3")
    await launch(real_bench.client, newer, IfBusy.WAIT)
    await handle.terminate()
    with pytest.raises(CommandError, match="Ask for it again"):
        async with asyncio.timeout(20):
            await turn_of(real_bench.client, newer)
