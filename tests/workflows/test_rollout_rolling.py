"""A rolling rollout: instances take each other's places, and traffic follows their number."""

from models.rollout import Phase, StepStatus
from tests.factories import a_request, a_rolling_service, healthy, unhealthy
from tests.workflows.harness import ADA, Bench, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


def a_world(instances: int = 3) -> FakeWorld:
    world = FakeWorld()
    world.alive = {"v1": instances}
    return world


async def test_each_batch_starts_before_as_many_of_the_old_version_end(bench: Bench) -> None:
    world = a_world()
    result = await (await bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == [
        "start v2", "traffic v1=66.67 v2=33.33",
        "traffic v1=66.67 v2=33.33", "scale v1 to 2",
        "start v2", "traffic v1=33.33 v2=66.67",
        "traffic v1=33.33 v2=66.67", "scale v1 to 1",
        "start v2", "traffic v1=0 v2=100",
        "traffic v2=100", "stop v1",
    ]  # fmt: skip
    assert world.alive == {"v2": 3}


async def test_a_bad_batch_gives_the_traffic_back_first_and_then_the_old_versions_strength(bench: Bench) -> None:
    world = a_world()
    world.verdicts.extend([healthy(), unhealthy()])
    result = await (await bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects[5:] == [
        "traffic v1=33.33 v2=66.67",
        "traffic v1=100",
        "scale v1 to 3",
        "traffic v1=100",
        "stop v2",
    ]
    assert world.alive == {"v1": 3}
    assert len(world.backends["v1"]) == 3


async def test_fewer_live_instances_than_are_to_be_left_are_not_added_to(bench: Bench) -> None:
    world = a_world(1)
    result = await (await bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.PROMOTED
    assert not [effect for effect in world.effects if effect.startswith("scale")]


async def test_a_person_is_asked_after_the_first_batch(bench: Bench) -> None:
    world = a_world()
    handle = await bench.start(world, a_request(spec=a_rolling_service(3, approval=True)))
    asked = await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()

    assert asked.question == "approve v2 at 33.33%?"
    assert len(asked.instances) == 1
    assert result.outcome is Phase.PROMOTED


async def test_promote_starts_what_is_missing_and_leaves_the_old_version_whole_until_then(bench: Bench) -> None:
    world = a_world()
    world.endless.add("watch")
    handle = await bench.start(world, a_request(spec=a_rolling_service(3)))
    await world.watching.wait()
    await handle.execute_update(Rollout.promote, ADA)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert not [effect for effect in world.effects if effect.startswith("scale")]
    assert world.alive == {"v2": 3}
    assert {one.status for one in ended.steps if one.step.kind == "scale_down"} == {StepStatus.SKIPPED}


async def test_a_host_that_is_away_for_a_minute_takes_nothing_back(fresh_bench: Bench) -> None:
    world = a_world()
    world.fail("start v2", "the host is away", times=20, retryable=True)
    result = await (await fresh_bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 3}
