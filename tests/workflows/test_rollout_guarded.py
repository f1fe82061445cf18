"""A rollout and its service's guard."""

from datetime import timedelta

from models.guard import Freeze, GuardState, LeaseKind
from models.ids import ServiceRef, parse_rollout_id
from models.rollout import Phase, RolloutRequest
from models.temporal_names import GuardUpdate
from starters.handles import guard_of
from tests.factories import a_request, a_service, keeping, unhealthy
from tests.workflows.guard_harness import FROZEN
from tests.workflows.harness import ADA, Bench, Handle, state, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout
from workflows.service_guard import ServiceGuard


async def state_of_guard(bench: Bench, handle: Handle) -> GuardState:
    guard = guard_of(bench.client, parse_rollout_id(handle.id))
    return await guard.query(ServiceGuard.state)


async def again(bench: Bench, world: FakeWorld, handle: Handle, **changes: object) -> Handle:
    """Another rollout of v2 for the same service."""
    request = a_request().model_copy(update={"ref": parse_rollout_id(handle.id), **changes})
    return await bench.begin(world, request)


async def test_the_service_is_the_rollouts_while_it_runs_and_free_afterwards(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    during = await state_of_guard(bench, handle)
    await handle.execute_update(Rollout.promote, ADA)
    await handle.result()
    after = await state_of_guard(bench, handle)

    assert [(lease.kind, lease.version) for lease in during.leases] == [(LeaseKind.ROLLOUT, "v2")]
    assert after.leases == ()
    assert after.cooldowns == ()


async def test_a_freeze_refuses_a_rollout_before_anything_is_touched(bench: Bench) -> None:
    world = FakeWorld()
    request = a_request().model_copy(update={"guard": FROZEN})
    result = await (await bench.start(world, request)).result()

    assert result.outcome is Phase.FAILED
    assert "freeze forever" in result.reason
    assert world.effects == []


async def test_who_goes_back_is_not_held_up_by_a_freeze_nor_is_an_emergency(bench: Bench) -> None:
    for changes in ({"at_once": True}, {"emergency": "the shop is down"}):
        world = FakeWorld()
        request = a_request().model_copy(update={"guard": FROZEN, **changes})
        result = await (await bench.start(world, request)).result()

        assert result.outcome is Phase.PROMOTED


async def test_a_version_that_was_found_bad_may_not_come_again_at_once_but_another_may(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    handle = await bench.start(world)
    await handle.result()
    same = await (await again(bench, world, handle)).result()
    other = await (await again(bench, world, handle, version="v3")).result()

    assert same.outcome is Phase.FAILED
    assert "v2 was taken back, and may be rolled out again from" in same.reason
    assert other.outcome is Phase.PROMOTED


async def test_a_version_that_a_person_took_back_may_come_again_at_once(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.execute_update(Rollout.abort, ADA)
    await handle.result()
    world.endless.clear()
    result = await (await again(bench, world, handle)).result()

    assert result.outcome is Phase.PROMOTED


async def test_a_version_that_never_had_traffic_may_come_again_at_once(bench: Bench) -> None:
    world = FakeWorld()
    world.fail("start v2", "not ready")
    handle = await bench.start(world)
    first = await handle.result()
    result = await (await again(bench, world, handle)).result()

    assert first.outcome is Phase.ROLLED_BACK
    assert result.outcome is Phase.PROMOTED


async def test_a_rollout_that_was_ended_by_force_does_not_lock_the_next_one_out(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world)
    await world.watching.wait()
    await handle.terminate()
    world.endless.clear()
    result = await (await again(bench, world, handle, version="v3")).result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v3": 2}


async def test_the_service_is_free_while_the_old_version_is_only_kept(real_bench: Bench) -> None:
    world = FakeWorld()
    handle = await real_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=1))))
    await until_phase(handle, Phase.KEEPING)
    free = await state_of_guard(real_bench, handle)
    await handle.cancel()
    await handle.result()

    assert free.leases == ()


async def test_an_order_to_freeze_reaches_the_next_rollout(bench: Bench) -> None:
    world = FakeWorld()
    handle = await bench.start(world)
    await handle.result()
    guard = guard_of(bench.client, parse_rollout_id(handle.id))
    await guard.execute_update(GuardUpdate.FREEZE, Freeze(by="ada", note="black friday"), result_type=object)
    result = await (await again(bench, world, handle, version="v3")).result()

    assert result.outcome is Phase.FAILED
    assert "black friday" in result.reason
    assert (await state(await again(bench, world, handle, version="v2", at_once=True))).version == "v2"


def test_a_request_of_an_older_front_door_is_one_without_rules() -> None:
    request = RolloutRequest(
        ref=ServiceRef(environment="local", service="shop"), version="v2", spec=a_service(), requested_by="ada"
    )
    assert request.guard.freezes == ()
