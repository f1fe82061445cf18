"""What has traffic is watched, and its lease renewed, also while instances start and end beside it."""

import asyncio
from datetime import timedelta

from models.catalog import Service
from models.rollout import Phase
from models.traffic import TrafficSplit
from tests.factories import a_request, a_rolling_service, a_service, a_step, unhealthy
from tests.workflows.harness import ADA, Bench, Handle, state
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout

SLOW_START, SLOW_END = "start 2 of v2", "scale v1 to 2"


def a_world(slow: str) -> FakeWorld:
    world = FakeWorld()
    world.alive = {"v1": 3}
    world.endless.add(slow)
    return world


def a_spec(lease: float = 5.0) -> Service:
    """Three instances that take each other's places one by one; work is watched a sixth of the lease after it began."""
    spec = a_rolling_service(3)
    plan = spec.rollout.model_copy(update={"lease": timedelta(seconds=lease)})
    return spec.model_copy(update={"rollout": plan})


async def a_slow_rollout(bench: Bench, world: FakeWorld) -> Handle:
    """At the slow step, watched."""
    handle = await bench.start(world, a_request(spec=a_spec()))
    await world.stuck.wait()
    async with asyncio.timeout(30):
        await world.watching.wait()
    return handle


async def test_a_slow_start_is_watched_under_the_lease_that_is_in_force(bench: Bench) -> None:
    world = a_world(SLOW_START)
    handle = await a_slow_rollout(bench, world)
    beside, in_force = world.watches[-1], world.applied[-1]
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert beside.bake is None
    assert beside.weight == 33.33
    assert beside.lease is not None
    assert beside.lease == in_force.lease
    assert world.effects.count("start v2") == 3
    assert world.alive == {"v2": 3}


async def test_slow_work_does_not_end_well_for_a_version_that_turns_bad_meanwhile(bench: Bench) -> None:
    world = a_world(SLOW_START)
    world.held_verdicts.append(unhealthy())
    handle = await bench.start(world, a_request(spec=a_spec()))
    await world.stuck.wait()
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "error_rate is 20%" in result.reason
    assert world.effects[-4:] == ["traffic v1=100", "scale v1 to 3", "traffic v1=100", "stop v2"]
    assert world.alive == {"v1": 3}


async def test_an_abort_cuts_slow_work_off_before_anything_is_undone(bench: Bench) -> None:
    world = a_world(SLOW_END)
    handle = await a_slow_rollout(bench, world)
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "scale v1 to 2" not in world.effects
    assert world.alive == {"v1": 3}


async def test_what_is_not_ready_yet_gets_no_traffic_when_the_lease_lapses_meanwhile(bench: Bench) -> None:
    world = a_world(SLOW_START)
    handle = await bench.start(world, a_request(spec=a_spec()))
    await world.stuck.wait()
    world.lapse("watch")
    world.alive["v2"] = 2
    async with asyncio.timeout(30):
        await world.watching.wait()
    again = world.applied[-1]
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert again.split == TrafficSplit(stable="v1", candidate="v2", weight=33.33)
    assert {backend.version: len(backend.addresses) for backend in again.backends} == {"v1": 2, "v2": 1}
    assert world.watches[-1].lease is not None
    assert any("v2 was off the traffic" in entry.text for entry in (await state(handle)).timeline)


async def test_work_that_is_done_in_a_moment_costs_no_watch(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 3}
    result = await (await bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.PROMOTED
    assert all(watch.bake for watch in world.watches)


async def test_a_lapse_that_nobody_saw_is_noted_when_the_next_weight_is_armed(bench: Bench) -> None:
    world = FakeWorld()
    world.lapsed_before["traffic v1=50 v2=50"] = "weight/local/shop was not renewed for 30 s"
    handle = await bench.start(world)
    result = await handle.result()
    told = [entry.text for entry in (await state(handle)).timeline]

    assert result.outcome is Phase.PROMOTED
    assert told.count("v2 was off the traffic: weight/local/shop was not renewed for 30 s") == 1


async def test_lapses_that_nobody_saw_count_as_others_do(bench: Bench) -> None:
    world = FakeWorld()
    steps = [a_step(weight) for weight in (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)]
    for share in (10, 20, 30, 40, 50):
        world.lapsed_before[f"traffic v1={100 - share} v2={share}"] = "it was not renewed"
    result = await (await bench.start(world, a_request(spec=a_service(*steps)))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "v2 was off the traffic 5 times" in result.reason
    assert world.alive == {"v1": 2}
