"""A rollout that does not go through leaves the world as it found it."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, CancelledError, WorkflowAlreadyStartedError

from models.ids import rollout_id
from models.rollout import Instruction, Phase, StepStatus
from models.temporal_names import TaskQueue
from models.traffic import TrafficSplit
from tests.factories import a_request, a_service, a_step, inconclusive, unhealthy
from tests.workflows.harness import ADA, Bench, refused, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout

RETURNED = ["traffic v1=100", "stop v2"]


async def test_an_unhealthy_version_loses_its_traffic_before_it_is_stopped(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    handle = await bench.start(world)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.ROLLED_BACK
    assert result.reason == "v2 is unhealthy: error_rate is 20%, allowed is 5%"
    assert result.stable == "v1"
    assert world.effects == ["start v2", "traffic v1=90 v2=10", *RETURNED]
    assert result.exposed_at
    assert result.decided_at
    assert result.off_at
    assert result.exposed_at <= result.decided_at <= result.off_at
    assert ended.weight == 0
    assert [s.status for s in ended.steps][:3] == [StepStatus.DONE, StepStatus.DONE, StepStatus.FAILED]


async def test_a_version_that_fails_later_is_taken_back_too(bench: Bench) -> None:
    world = FakeWorld()
    world.held_verdicts.append(unhealthy())
    handle = await bench.start(world, a_request(spec=a_service(a_step(10), a_step(50, approval=True))))
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects[-2:] == RETURNED


async def test_a_version_that_never_becomes_ready_gets_no_traffic(bench: Bench) -> None:
    world = FakeWorld()
    world.fail("start v2", "v2-0 did not become ready within 30s")
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert result.reason == "v2-0 did not become ready within 30s"
    assert world.effects == ["stop v2"]
    assert result.exposed_at is None


async def test_a_failed_first_deployment_leaves_nothing(bench: Bench) -> None:
    world = FakeWorld(stable=None)
    world.fail("traffic v1=100", "Envoy refused the listener: address already in use")
    result = await (await bench.start(world, a_request("v1"))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "address already in use" in result.reason
    assert world.effects == ["start v1", "traffic removed", "stop v1"]
    assert world.alive == {}


async def test_a_router_that_is_not_there_fails_it_before_anything_changes(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.fail("current", "Envoy's admin interface does not answer", times=20, retryable=True)
    result = await (await fresh_bench.start(world)).result()

    assert result.outcome is Phase.FAILED
    assert "Envoy" in result.reason
    assert world.effects == []


@pytest.mark.parametrize("where", ["bake", "gate", "pause", "inconclusive"])
async def test_abort_takes_the_version_back_wherever_it_stands(bench: Bench, where: str) -> None:
    world = FakeWorld()
    spec = a_service(a_step(10, approval=where == "gate"))
    if where in {"bake", "pause"}:
        world.endless.add("watch")
    if where == "inconclusive":
        world.verdicts.append(inconclusive())
    handle = await bench.start(world, a_request(spec=spec))
    if where in {"bake", "pause"}:
        await world.watching.wait()
    if where == "pause":
        await handle.execute_update(Rollout.pause, ADA)
        await until_phase(handle, Phase.PAUSED)
    if where in {"gate", "inconclusive"}:
        await until_phase(handle, Phase.AWAITING_APPROVAL)
    await handle.execute_update(Rollout.abort, Instruction(by="ada", note="wrong build"))
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert result.reason == "aborted by ada: wrong build"
    assert world.effects[-2:] == RETURNED
    assert world.split == TrafficSplit(stable="v1")


async def test_abort_while_instances_start_stops_them_without_touching_traffic(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("start")
    handle = await bench.start(world)
    await world.starting.wait()
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects == ["start v2", "stop v2"]


async def test_abort_does_not_wait_for_a_router_that_hangs(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("traffic v1=90 v2=10")
    handle = await bench.start(world)
    await world.stuck.wait()
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.reason == "aborted by ada"
    assert world.effects == ["start v2", "traffic v1=100", "stop v2"]


async def test_abort_does_not_wait_for_a_router_that_does_not_answer(bench: Bench) -> None:
    world = FakeWorld()
    world.fail("current", "Envoy does not answer", times=3, retryable=True)
    handle = await bench.start(world)
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.outcome is Phase.FAILED
    assert result.reason == "aborted by ada"
    assert world.effects == []


@pytest.mark.parametrize("effect", ["traffic v1=90 v2=10", "start"])
async def test_cancelling_it_while_something_is_under_way_takes_the_version_back(bench: Bench, effect: str) -> None:
    world = FakeWorld()
    world.endless.add(effect)
    handle = await bench.start(world)
    await (world.starting if effect == "start" else world.stuck).wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert world.split == TrafficSplit(stable="v1")
    assert "v2" not in world.alive


async def test_cancelling_it_after_the_promotion_changes_nothing(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("stop v1")
    handle = await bench.start(world)
    await world.stuck.wait()
    await handle.cancel()
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects[-1] == "stop v1"
    assert world.split == TrafficSplit(stable="v2")


async def test_cancelling_the_workflow_takes_the_version_back_first(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    assert isinstance(failure.value.cause, CancelledError)
    assert world.effects[-2:] == RETURNED


async def test_an_undo_that_is_refused_is_asked_again_until_it_is_done(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    world.fail("traffic v1=100", "the router says no", times=5)
    world.fail("stop v2", "the host says no", times=5)
    handle = await fresh_bench.start(world)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects[-2:] == RETURNED
    assert sum("the router says no" in entry.text for entry in ended.timeline) == 5


async def test_a_weight_that_cannot_be_set_takes_the_version_back(bench: Bench) -> None:
    world = FakeWorld()
    world.fail("traffic v1=50 v2=50", "Envoy rejects the routes")
    result = await (await bench.start(world)).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert result.reason == "Envoy rejects the routes"
    assert world.effects[-2:] == RETURNED


async def test_a_short_outage_of_the_router_is_waited_for(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.fail("traffic v1=50 v2=50", "Envoy does not answer", times=10, retryable=True)
    result = await (await fresh_bench.start(world)).result()

    assert result.outcome is Phase.PROMOTED


async def test_a_version_whose_instances_died_receives_no_more_traffic(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request(spec=a_service(a_step(10, approval=True), a_step(50))))
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    del world.alive["v2"]
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert result.reason == "no instance of v2 lives any more"
    assert "traffic v1=50 v2=50" not in world.effects


async def test_a_stable_version_that_died_is_started_before_traffic_returns_to_it(
    bench: Bench,
) -> None:
    world = FakeWorld()
    handle = await bench.start(world, a_request(spec=a_service(a_step(10, approval=True))))
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    del world.alive["v1"]
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects[-3:] == ["scale v1 to 2", "traffic v1=100", "stop v2"]


async def test_orders_that_make_no_sense_are_refused_with_the_reason(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    not_paused = await refused(handle.execute_update(Rollout.resume, ADA))
    not_asking = await refused(handle.execute_update(Rollout.approve, ADA))
    await handle.execute_update(Rollout.pause, ADA)
    paused_already = await refused(handle.execute_update(Rollout.pause, ADA))
    await handle.execute_update(Rollout.abort, ADA)
    await handle.result()

    assert "not paused" in not_paused
    assert "not waiting for an approval" in not_asking
    assert "paused already" in paused_already


async def test_a_second_rollout_of_the_same_service_is_refused(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    ref = (await state(handle)).ref
    with pytest.raises(WorkflowAlreadyStartedError):
        await bench.client.start_workflow(
            Rollout.run,
            a_request("v3", ref=ref),
            id=rollout_id(ref),
            task_queue=TaskQueue.ROLLOUTS,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    await handle.execute_update(Rollout.abort, ADA)
    await handle.result()


async def test_input_that_cannot_be_read_fails_at_once(bench: Bench) -> None:
    with pytest.raises(WorkflowFailureError) as failure:
        await bench.client.execute_workflow(
            "Rollout", {"nonsense": 1}, id="rollout/local/unreadable", task_queue=TaskQueue.ROLLOUTS
        )
    assert not isinstance(failure.value.cause, ActivityError)
