"""A rollout that goes through."""

from datetime import timedelta

from models.rollout import Phase, StepStatus
from models.traffic import TrafficSplit
from tests.factories import a_request, a_service, a_step, inconclusive
from tests.workflows.harness import ADA, Bench, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


async def test_promotes_a_healthy_version_step_by_step(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert result.stable == "v2"
    assert world.effects == [
        "start v2",
        "traffic v1=90 v2=10",
        "traffic v1=50 v2=50",
        "traffic v2=100",
        "stop v1",
    ]
    assert [watch.bake for watch in world.watches] == [timedelta(seconds=30)] * 2
    assert {step.status for step in ended.steps} == {StepStatus.DONE}
    assert world.split == TrafficSplit(stable="v2")


async def test_a_first_deployment_goes_straight_to_all_traffic(bench: Bench) -> None:
    world = FakeWorld(stable=None)
    result = await (await bench.start(world, a_request("v1"))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v1", "traffic v1=100"]


async def test_a_stable_version_without_a_live_instance_protects_nothing(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {}
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v2", "traffic v2=100"]


async def test_deploying_what_is_stable_changes_nothing(bench: Bench) -> None:
    world = FakeWorld()
    result = await (await bench.start(world, a_request("v1"))).result()

    assert result.outcome is Phase.UNCHANGED
    assert world.effects == []


async def test_deploying_the_stable_version_brings_its_missing_instances_back(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 1}
    result = await (await bench.start(world, a_request("v1"))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v1", "traffic v1=100"]


async def test_promote_skips_the_steps_that_remain(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.execute_update(Rollout.promote, ADA)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v2", "traffic v1=90 v2=10", "traffic v2=100", "stop v1"]
    assert [step.step.kind for step in ended.steps if step.status is StepStatus.SKIPPED] == ["set_weight", "bake"]


async def test_a_gate_waits_for_its_approval_for_months_if_need_be_and_watches_meanwhile(
    bench: Bench,
) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request(spec=a_service(a_step(10, approval=True))))
    waiting = await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()
    history = await handle.fetch_history()

    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    watches = [attributes for attributes in scheduled if attributes.activity_type.name == "traffic.watch"]
    assert waiting.question == "approve v2 at 10%?"
    assert all(watch.start_to_close_timeout.ToTimedelta() > timedelta(days=90) for watch in watches)
    assert all(watch.heartbeat_timeout.ToTimedelta() == timedelta(seconds=5) for watch in watches)
    assert result.outcome is Phase.PROMOTED


async def test_metrics_that_do_not_tell_make_it_ask_a_person(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(inconclusive())
    handle = await bench.start(world)
    waiting = await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()

    assert "only 3 of the 20 requests" in str(waiting.question)
    assert result.outcome is Phase.PROMOTED


async def test_a_pause_holds_the_weight_until_it_is_resumed(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.execute_update(Rollout.pause, ADA)
    paused = await until_phase(handle, Phase.PAUSED)
    world.endless.clear()
    await handle.execute_update(Rollout.resume, ADA)
    result = await handle.result()

    assert paused.weight == 10
    assert any(watch.bake is None for watch in world.watches)
    assert result.outcome is Phase.PROMOTED


async def test_a_pause_before_the_first_weight_sends_no_traffic(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world)
    await handle.execute_update(Rollout.pause, ADA)
    paused = await until_phase(handle, Phase.PAUSED)
    effects = list(world.effects)
    await handle.execute_update(Rollout.resume, ADA)
    result = await handle.result()

    assert paused.weight in {0.0, 10.0}
    assert (paused.weight == 0.0) == ("traffic v1=90 v2=10" not in effects)
    assert result.outcome is Phase.PROMOTED


async def test_stopping_the_old_version_is_tried_until_it_is_done(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.fail("stop v1", "the host is gone", times=3)
    handle = await fresh_bench.start(world)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert world.effects[-1] == "stop v1"
    assert sum("the host is gone" in entry.text for entry in ended.timeline) == 3


async def test_what_a_rollout_ended_by_force_left_behind_is_cleared_away(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 2, "v9": 2}
    world.split = TrafficSplit(stable="v1", candidate="v9", weight=50.0)
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects[:3] == ["traffic v1=100", "stop v9", "start v2"]


async def test_at_once_gives_all_traffic_as_soon_as_the_instances_are_ready(bench: Bench) -> None:
    world = FakeWorld()
    result = await (await bench.start(world, a_request("v0").model_copy(update={"at_once": True}))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v0", "traffic v0=100", "stop v1"]
