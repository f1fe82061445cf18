"""A promoted version is watched for as long as the old one is kept."""

from datetime import timedelta

from models.judgement import Verdict
from models.rollout import Phase, Successor
from tests.factories import a_request, a_service, compared, healthy, keeping, unhealthy
from tests.workflows.harness import Bench, state, until_phase
from tests.workflows.test_rollout_succession import first_run, next_to
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout

KEPT = keeping(a_service(), timedelta(days=300), watched=True)


def a_world(*afterwards: Verdict) -> FakeWorld:
    """In which both bakes see a thousand requests."""
    world = FakeWorld()
    world.verdicts.extend([compared(healthy())] * 2)
    world.held_verdicts.extend(afterwards)
    return world


async def test_one_that_turns_bad_makes_way_for_the_old_version_which_still_runs(real_bench: Bench) -> None:
    world = a_world(unhealthy())
    handle = await real_bench.start(world, a_request(spec=KEPT))
    result = await handle.result()
    before = await state(first_run(real_bench, handle))

    assert (result.outcome, result.version, result.stable) == (Phase.PROMOTED, "v1", "v1")
    assert before.phase is Phase.PROMOTED
    assert before.next is not None
    assert (before.next.version, before.next.requested_by) == ("v1", "holdfast")
    assert any("v2 is unhealthy after its promotion: error_rate" in entry.text for entry in before.timeline)
    assert "stop v1" not in world.effects
    assert world.effects[-3:] == ["start v1", "traffic v1=100", "stop v2"]
    assert world.alive == {"v1": 2}


async def test_the_way_back_is_on_record_with_its_reason(real_bench: Bench) -> None:
    world = a_world(unhealthy())
    handle = await real_bench.start(world, a_request(spec=KEPT))
    await handle.result()

    asked = [each for entries in world.recorded for each in entries.every_audit if each.who == "holdfast"]
    assert asked
    assert asked[0].what == "rollback"
    assert "v2 is unhealthy after its promotion" in asked[0].note


async def test_it_is_held_against_its_past_and_no_longer_under_a_lease(real_bench: Bench) -> None:
    world = a_world()
    handle = await real_bench.start(world, a_request(spec=KEPT))
    await until_phase(handle, Phase.KEEPING)
    await world.watching.wait()
    await handle.cancel()
    await handle.result()

    watch = world.watches[-1]
    assert watch.usual is not None
    assert watch.usual.rate == KEPT.rollout.judge.compare.negligible / 100
    assert (watch.stable, watch.bake, watch.lease) == (None, None, None)
    assert world.alive == {"v2": 2}


async def test_another_rollout_ends_the_watch(real_bench: Bench) -> None:
    world = a_world()
    handle = await real_bench.start(world, a_request(spec=KEPT))
    await until_phase(handle, Phase.KEEPING)
    await world.watching.wait()
    newer = next_to(handle, "v3").model_copy(update={"at_once": True})
    await handle.execute_update(Rollout.follow, Successor(request=newer))
    result = await handle.result()

    assert (result.outcome, result.stable) == (Phase.PROMOTED, "v3")
    assert world.alive == {"v3": 2}


async def test_one_of_which_next_to_nothing_was_seen_is_held_against_nothing(real_bench: Bench) -> None:
    world = FakeWorld()
    world.held_verdicts.append(unhealthy())
    spec = keeping(a_service(), timedelta(seconds=1), watched=True)
    result = await (await real_bench.start(world, a_request(spec=spec))).result()

    assert (result.outcome, result.stable) == (Phase.PROMOTED, "v2")
    assert all(watch.bake for watch in world.watches)


async def test_a_way_back_is_not_watched_for_another(real_bench: Bench) -> None:
    world = a_world(unhealthy(), unhealthy())
    handle = await real_bench.start(world, a_request(spec=KEPT))
    await handle.result()

    assert len(world.held_verdicts) == 1
    assert world.alive == {"v1": 2}
