"""A canary that is compared with a baseline: fresh instances of the stable version, of which nothing is left over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from models.ids import parse_rollout_id
from models.rollout import Phase, RolloutState, StepStatus, Successor
from models.traffic import TrafficSplit
from tests.factories import a_request, a_service, a_step, beside_a_baseline, inconclusive, keeping, unhealthy
from tests.workflows.harness import ADA, Bench, Handle, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout

BASELINE = "v1~baseline"
A_TENTH = "traffic v1=80 v1~baseline=10 v2=10"
BACK = ["traffic v1=100", "stop v1~baseline", "stop v2"]
REQUEST = a_request(spec=beside_a_baseline(a_service()))


def texts(ended: RolloutState) -> list[str]:
    return [entry.text for entry in ended.timeline]


async def test_it_has_as_much_as_the_candidate_and_goes_when_that_has_all(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world, REQUEST)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert world.effects == [
        "start v2",
        "scale v1~baseline to 2",
        A_TENTH,
        "traffic v1=0 v1~baseline=50 v2=50",
        "traffic v2=100",
        "stop v1~baseline",
        "stop v1",
    ]
    assert [watch.stable for watch in world.watches] == [BASELINE, BASELINE]
    assert world.alive == {"v2": 2}
    assert world.split == TrafficSplit(stable="v2")
    told = texts(ended)
    assert "2 fresh instances of v1 are ready; v2 is compared with them" in told
    assert "the baseline of v1 receives 10%" in told
    assert "stopped the baseline of v1" in told
    assert ended.stable == "v1"


async def test_over_half_of_the_traffic_it_has_what_is_left(bench: Bench) -> None:
    world = FakeWorld()
    spec = beside_a_baseline(a_service(a_step(70), a_step(100)))
    result = await (await bench.start(world, a_request(spec=spec))).result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects[2:4] == ["traffic v1=0 v1~baseline=30 v2=70", "traffic v1=0 v1~baseline=0 v2=100"]
    assert world.alive == {"v2": 2}


async def test_it_goes_with_an_unhealthy_candidate_once_all_traffic_has_returned(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    handle = await bench.start(world, REQUEST)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects == ["start v2", "scale v1~baseline to 2", A_TENTH, *BACK]
    assert world.alive == {"v1": 2}


async def test_one_that_does_not_become_ready_takes_the_candidate_back_unexposed(bench: Bench) -> None:
    world = FakeWorld()
    world.fail("scale v1~baseline to 2", "shop-v1~baseline-0 did not become ready within 30s")
    result = await (await bench.start(world, REQUEST)).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert "did not become ready" in result.reason
    assert result.exposed_at is None
    assert world.effects == ["start v2", "stop v1~baseline", "stop v2"]


async def _while_the_candidate_starts(world: FakeWorld, _: Handle) -> None:
    await world.starting.wait()


async def _while_it_is_stuck(world: FakeWorld, _: Handle) -> None:
    await world.stuck.wait()


async def _while_it_bakes(world: FakeWorld, _: Handle) -> None:
    await world.watching.wait()


async def _while_it_is_paused(world: FakeWorld, handle: Handle) -> None:
    await world.watching.wait()
    await handle.execute_update(Rollout.pause, ADA)
    await until_phase(handle, Phase.PAUSED)


async def _while_a_person_is_asked(_: FakeWorld, handle: Handle) -> None:
    await until_phase(handle, Phase.AWAITING_APPROVAL)


MOMENTS: dict[str, tuple[str, Callable[[FakeWorld, Handle], Awaitable[None]]]] = {
    "as the candidate starts": ("start", _while_the_candidate_starts),
    "as the baseline starts": ("scale v1~baseline to 2", _while_it_is_stuck),
    "as the weight is set": (A_TENTH, _while_it_is_stuck),
    "as it bakes": ("watch", _while_it_bakes),
    "as it is paused": ("watch", _while_it_is_paused),
    "as a person is asked": ("", _while_a_person_is_asked),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_abort_leaves_nothing_of_it_wherever_it_comes(bench: Bench, moment: str) -> None:
    endless, reached = MOMENTS[moment]
    world = FakeWorld()
    world.endless.update({endless} - {""})
    world.verdicts.append(inconclusive())
    handle = await bench.start(world, REQUEST)
    await reached(world, handle)
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert result.reason == "aborted by ada"
    assert world.alive == {"v1": 2}
    assert world.split == TrafficSplit(stable="v1")
    assert world.effects[-1] == "stop v2"


async def test_a_newer_version_supersedes_it_and_has_a_baseline_of_its_own(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await real_bench.start(world, REQUEST)
    await world.watching.wait()
    world.endless.clear()
    newer = REQUEST.model_copy(update={"ref": parse_rollout_id(handle.id), "id": "next", "version": "v3"})
    await handle.execute_update(Rollout.follow, Successor(request=newer, supersede=True))
    result = await handle.result()

    assert (result.outcome, result.version) == (Phase.PROMOTED, "v3")
    assert world.alive == {"v3": 2}
    assert [effect for effect in world.effects if BASELINE in effect and "traffic" not in effect] == [
        "scale v1~baseline to 2", "stop v1~baseline", "scale v1~baseline to 2", "stop v1~baseline",
    ]  # fmt: skip


async def test_a_pause_and_a_promotion_by_order_leave_nothing_of_it(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world, REQUEST)
    await _while_it_is_paused(world, handle)
    await handle.execute_update(Rollout.promote, ADA)
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert all(watch.stable == BASELINE for watch in world.watches)
    assert world.effects[-3:] == ["traffic v2=100", "stop v1~baseline", "stop v1"]


async def test_a_promotion_ordered_before_it_starts_goes_without_one(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("current")
    handle = await bench.start(world, REQUEST)
    await world.stuck.wait()
    await handle.execute_update(Rollout.promote, ADA)
    world.endless.clear()
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert ended.baseline is None
    assert next(step.status for step in ended.steps if step.step.kind == "start_baseline") is StepStatus.SKIPPED
    assert world.effects == ["start v2", "traffic v2=100", "stop v1"]


async def test_a_promotion_ordered_as_it_starts_leaves_nothing_of_it(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("scale v1~baseline to 2")
    handle = await bench.start(world, REQUEST)
    await world.stuck.wait()
    await handle.execute_update(Rollout.promote, ADA)
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects == ["start v2", "scale v1~baseline to 2", "traffic v2=100", "stop v1~baseline", "stop v1"]


async def test_it_goes_before_the_old_version_is_kept(fresh_bench: Bench) -> None:
    world = FakeWorld()
    handle = await fresh_bench.start(world, a_request(spec=beside_a_baseline(keeping(a_service()))))
    result = await handle.result()
    steps = (await state(handle)).steps

    assert result.outcome is Phase.PROMOTED
    stopped, kept = (next(step for step in steps if step.step.kind == kind) for kind in ("retire", "keep"))
    assert stopped.ended_at is not None
    assert kept.started_at is not None
    assert stopped.ended_at <= kept.started_at


async def test_a_cancellation_while_it_is_stopped_leaves_neither_it_nor_the_old_version(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("stop v1~baseline")
    spec = keeping(a_service(a_step(10, bake=0.1)), timedelta(days=300))
    handle = await real_bench.start(world, a_request(spec=beside_a_baseline(spec)))
    await world.stuck.wait()
    await handle.cancel()
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 2}


async def test_stopping_it_is_tried_until_it_is_done(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.fail("stop v1~baseline", "the host is gone", times=2)
    handle = await fresh_bench.start(world, REQUEST)
    await handle.result()

    assert world.alive == {"v2": 2}


async def test_one_whose_instances_died_is_no_measure_and_the_candidate_is_taken_back(bench: Bench) -> None:
    world = FakeWorld()
    spec = beside_a_baseline(a_service(a_step(10, approval=True), a_step(50)))
    handle = await bench.start(world, a_request(spec=spec))
    await until_phase(handle, Phase.AWAITING_APPROVAL)
    del world.alive[BASELINE]
    await handle.execute_update(Rollout.approve, ADA)
    result = await handle.result()

    assert result.reason == "no instance of the baseline of v1 lives any more"
    assert world.alive == {"v1": 2}


async def test_one_that_a_rollout_ended_by_force_left_is_cleared_away(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 2, BASELINE: 2, "v9": 2}
    world.split = TrafficSplit(stable="v1", candidate="v9", weight=10.0, baseline=10.0)
    handle = await bench.start(world, REQUEST)
    result = await handle.result()
    ended = await state(handle)

    assert result.outcome is Phase.PROMOTED
    assert world.effects[:5] == ["traffic v1=100", "stop v1~baseline", "stop v9", "start v2", "scale v1~baseline to 2"]
    told = texts(ended)
    assert "stopped the baseline of v1, left over from an earlier rollout" in told


async def test_a_lapsed_lease_gives_it_its_share_again(bench: Bench) -> None:
    world = FakeWorld()
    world.lapse("watch")
    handle = await bench.start(world, a_request(spec=beside_a_baseline(a_service(a_step(10)))))
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.effects.count(A_TENTH) == 2
