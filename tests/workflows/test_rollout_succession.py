"""What becomes of a newer rollout while another is under way, and of the old version after promotion."""

import uuid
from datetime import timedelta

import pytest

from models.ids import parse_rollout_id
from models.rollout import Phase, RolloutRequest, RolloutState, Successor
from tests.factories import a_request, a_service, keeping
from tests.workflows.harness import ADA, Bench, Handle, refused, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


def next_to(handle: Handle, version: str) -> RolloutRequest:
    """A request for the service that this handle's rollout is about."""
    return a_request(version).model_copy(update={"ref": parse_rollout_id(handle.id), "id": uuid.uuid4().hex})


async def a_busy_rollout(bench: Bench, world: FakeWorld) -> Handle:
    """v2 at 10 %, watched until it is told otherwise."""
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    return handle


def first_run(bench: Bench, handle: Handle) -> Handle:
    return bench.client.get_workflow_handle_for(Rollout.run, handle.id, run_id=handle.result_run_id)


async def test_a_newer_rollout_waits_for_its_turn(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await a_busy_rollout(real_bench, world)
    newer = next_to(handle, "v3")
    answer = await handle.execute_update(Rollout.follow, Successor(request=newer))
    seen = await state(handle)
    world.endless.clear()
    await handle.execute_update(Rollout.promote, ADA)
    result = await handle.result()

    assert answer.text == "v3 comes next, once v2 is through"
    assert seen.next is not None
    assert seen.next.version == "v3"
    assert (await state(first_run(real_bench, handle))).phase is Phase.PROMOTED
    assert (result.outcome, result.version) == (Phase.PROMOTED, "v3")
    assert world.alive == {"v3": 2}
    assert world.effects.count("start v2") == world.effects.count("start v3") == 1


async def test_a_newer_rollout_supersedes_the_one_under_way(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await a_busy_rollout(real_bench, world)
    newer = next_to(handle, "v3")
    world.endless.clear()
    answer = await handle.execute_update(Rollout.follow, Successor(request=newer, supersede=True))
    result = await handle.result()
    older = await state(first_run(real_bench, handle))

    assert answer.text == "v3 comes next, once v2 is taken back"
    assert older.phase is Phase.ROLLED_BACK
    assert older.reason == "superseded by v3, asked for by ada"
    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v3": 2}


async def test_of_those_that_wait_the_newest_gets_the_turn(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await a_busy_rollout(real_bench, world)
    newest = next_to(handle, "v4")
    await handle.execute_update(Rollout.follow, Successor(request=next_to(handle, "v3")))
    answer = await handle.execute_update(Rollout.follow, Successor(request=newest))
    world.endless.clear()
    await handle.execute_update(Rollout.promote, ADA)
    await handle.result()

    assert answer.text == "v4 comes next, instead of v3, once v2 is through"
    assert "start v3" not in world.effects


async def test_what_waits_gets_its_turn_though_the_one_before_is_cancelled(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await a_busy_rollout(real_bench, world)
    newer = next_to(handle, "v3")
    await handle.execute_update(Rollout.follow, Successor(request=newer))
    world.endless.clear()
    await handle.cancel()
    result = await handle.result()

    assert (await state(first_run(real_bench, handle))).phase is Phase.ROLLED_BACK
    assert result.outcome is Phase.PROMOTED


async def test_a_rollout_of_another_service_is_no_successor(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await a_busy_rollout(real_bench, world)
    why = await refused(handle.execute_update(Rollout.follow, Successor(request=a_request("v3"))))
    await handle.execute_update(Rollout.abort, ADA)
    await handle.result()

    assert "not local/shop" in why


async def test_the_old_version_is_kept_for_a_while_after_promotion(fresh_bench: Bench) -> None:
    world = FakeWorld()
    handle = await fresh_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=2))))
    result = await handle.result()
    ended: RolloutState = await state(handle)
    times = [step.started_at for step in ended.steps if step.step.kind in {"keep", "retire"}]

    assert result.outcome is Phase.PROMOTED
    assert world.effects[-2:] == ["traffic v2=100", "stop v1"]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1] - times[0] >= timedelta(days=2)


@pytest.mark.parametrize("back_to", ["v1", "v3"])
async def test_what_comes_next_does_not_wait_for_the_old_version_to_go(real_bench: Bench, back_to: str) -> None:
    world = FakeWorld()
    handle = await real_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=300))))
    await until_phase(handle, Phase.KEEPING)
    newer = next_to(handle, back_to).model_copy(update={"at_once": True})
    await handle.execute_update(Rollout.follow, Successor(request=newer))
    result = await handle.result()

    assert (await state(first_run(real_bench, handle))).phase is Phase.PROMOTED
    assert (result.outcome, result.stable) == (Phase.PROMOTED, back_to)
    assert ("stop v1" in world.effects) == (back_to == "v3")
    assert world.alive == {back_to: 2}


async def test_a_cancellation_while_the_old_version_is_kept_ends_the_wait(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await real_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=300))))
    await until_phase(handle, Phase.KEEPING)
    await handle.cancel()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 2}
