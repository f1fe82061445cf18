"""A rollout and the keeper: what it does when its lease has lapsed, as when nothing of Temporal lived for a while."""

from models.rollout import Phase
from models.traffic import TrafficSplit
from tests.factories import a_blue_green_service, a_request, a_rolling_service, a_service, a_step, healthy, unhealthy
from tests.workflows.harness import ADA, Bench, state
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


async def test_a_weight_is_armed_before_it_is_given_and_settled_by_the_end(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world)
    await handle.result()
    ten, fifty, promoted = world.applied

    assert ten.lease is not None
    assert fifty.lease is not None
    assert ten.lease.key.startswith("weight/local/shop-")
    assert ten.lease.epoch < fifty.lease.epoch
    assert [watch.lease for watch in world.watches] == [ten.lease, fifty.lease]
    assert promoted.lease is None
    assert promoted.settle_first == fifty.lease


async def test_the_way_back_settles_once_the_traffic_has_returned(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    handle = await bench.start(world)
    await handle.result()
    ten, back = world.applied

    assert back.split == TrafficSplit(stable="v1")
    assert back.settle_after == ten.lease


async def test_going_back_at_once_settles_what_an_earlier_rollout_left_armed(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request("v0").model_copy(update={"at_once": True}))
    await handle.result()
    (promoted,) = world.applied

    assert promoted.settle_first is not None


async def test_a_lease_that_lapsed_while_baking_begins_the_step_anew(bench: Bench) -> None:
    world = FakeWorld()
    world.lapse("watch")
    handle = await bench.start(world, a_request(spec=a_service(a_step(10.0))))
    result = await handle.result()
    timeline = [entry.text for entry in (await state(handle)).timeline]

    assert result.outcome is Phase.PROMOTED
    assert world.effects == [
        "start v2", "traffic v1=90 v2=10", "traffic v1=90 v2=10", "traffic v2=100", "stop v1",
    ]  # fmt: skip
    first, second = world.watches
    assert first.bake == second.bake
    assert first.lease is not None
    assert second.lease is not None
    assert first.lease.epoch < second.lease.epoch
    assert any(text.startswith("v2 was off the traffic: weight/local/shop was not renewed") for text in timeline)


async def test_a_lease_that_lapsed_while_a_weight_was_set_is_armed_again(bench: Bench) -> None:
    world = FakeWorld()
    world.lapse("traffic v1=50 v2=50")
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.PROMOTED
    assert len({asked.lease.epoch for asked in world.applied if asked.lease}) == 3


async def test_a_promotion_that_is_decided_is_carried_out_though_the_lease_lapsed(bench: Bench) -> None:
    world = FakeWorld()
    world.lapse("traffic v2=100")
    result = await (await bench.start(world, a_request(spec=a_blue_green_service()))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.split == TrafficSplit(stable="v2")
    assert world.applied[-1].settle_first is None


async def test_a_lease_that_lapses_again_and_again_ends_the_rollout(bench: Bench) -> None:
    world = FakeWorld()
    world.lapse("watch", times=10)
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "v2 was off the traffic 5 times" in result.reason
    assert world.alive == {"v1": 2}


async def test_instances_that_are_about_to_go_get_no_traffic_when_the_lease_lapses_meanwhile(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 3}
    world.verdicts.extend([healthy()])
    handle = await bench.start(world, a_request(spec=a_rolling_service(3)))
    world.lapse("traffic v1=66.67 v2=33.33", times=2)
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 3}


async def test_an_abort_reaches_a_rollout_whose_lease_lapses(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("traffic v1=90 v2=10")
    handle = await bench.start(world)
    await world.stuck.wait()
    world.lapse("watch", times=10)
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.alive == {"v1": 2}
