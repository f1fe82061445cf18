"""A blue-green rollout: all traffic at once, and back at once."""

from models.rollout import Instruction, Phase
from tests.factories import a_blue_green_service, a_request, unhealthy
from tests.workflows.harness import ADA, Bench, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


async def test_switches_all_traffic_and_retires_the_old_version_after_the_bake(bench: Bench) -> None:
    world = FakeWorld()
    result = await (await bench.start(world, a_request(spec=a_blue_green_service()))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v2", "traffic v1=0 v2=100", "traffic v2=100", "stop v1"]


async def test_an_unhealthy_version_gives_all_traffic_back(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    result = await (await bench.start(world, a_request(spec=a_blue_green_service()))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects == ["start v2", "traffic v1=0 v2=100", "traffic v1=100", "stop v2"]


async def test_a_person_may_look_before_the_traffic_is_switched(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request(spec=a_blue_green_service(approval=True)))
    waiting = await until_phase(handle, Phase.AWAITING_APPROVAL)
    before = list(world.effects)
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()

    assert before == ["start v2"]
    assert "http://127.0.0.1:20000" in str(waiting.question)
    assert result.outcome is Phase.PROMOTED


async def test_what_is_refused_before_the_switch_never_had_traffic(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request(spec=a_blue_green_service(approval=True)))
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.abort, Instruction(by="ada"))
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert result.exposed_at is None
    assert world.effects == ["start v2", "stop v2"]
