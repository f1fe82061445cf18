"""The way back from a version that turned bad after its promotion: only a person ends it before it is through."""

from collections.abc import Callable

import pytest

from models.deployment import Instances, StartVersion
from models.guard import LeaseKind, LeaseOutcome
from models.rollout import Phase, RolloutRequest, Successor
from models.traffic import TrafficSplit
from starters.launching import IfBusy, launch
from tests.factories import a_request, unhealthy
from tests.workflows.guard_harness import GuardedService, end, holders
from tests.workflows.harness import ADA, Bench, Handle, refused, state, until
from tests.workflows.test_rollout_afterwards import KEPT, a_world
from tests.workflows.test_rollout_recorded import slow_hand_over
from tests.workflows.test_rollout_succession import first_run, next_to
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout

TWENTY_MINUTES = 250
"""So many attempts, the later ones five seconds apart, of what can be tried again."""

GAVE_UP_AT = 6
"""So many refusals for good take twenty minutes, too, as each doubles the pause."""


def a_way_back(version: str = "v1") -> RolloutRequest:
    changes = {"at_once": True, "automatic": True, "requested_by": "holdfast", "reason": "v2 is unhealthy"}
    return a_request(version).model_copy(update=changes)


def turned_bad() -> FakeWorld:
    """v2 has all traffic, and v1 was kept."""
    world = FakeWorld(stable="v2")
    world.alive["v1"] = 2
    return world


async def until_said(handle: Handle, text: str) -> None:
    async def said() -> bool:
        return any(text in entry.text for entry in (await state(handle)).timeline)

    await until(said, f"the timeline to say {text!r}")


@pytest.mark.parametrize(
    "trouble",
    [
        lambda world: world.fail("current", "the router is away", times=TWENTY_MINUTES, retryable=True),
        lambda world: world.fail("start v1", "the host is full", times=TWENTY_MINUTES, retryable=True),
        lambda world: world.fail("start v1", "v1-0 ended before it was ready", times=GAVE_UP_AT),
        lambda world: world.fail("traffic v1=100", "the router is away", times=TWENTY_MINUTES, retryable=True),
        lambda world: world.fail("traffic v1=100", "the router says no", times=GAVE_UP_AT),
    ],
    ids=["look fails", "start fails", "start is refused", "traffic fails", "traffic is refused"],
)
async def test_what_is_away_for_twenty_minutes_does_not_end_it(
    fresh_bench: Bench, trouble: Callable[[FakeWorld], None]
) -> None:
    world = turned_bad()
    trouble(world)
    result = await (await fresh_bench.start(world, a_way_back())).result()

    assert (result.outcome, result.stable) == (Phase.PROMOTED, "v1")
    assert world.effects == ["start v1", "traffic v1=100", "stop v2"]
    assert world.alive == {"v1": 2}


async def test_a_version_that_dies_before_it_has_its_traffic_is_brought_back_to_life(bench: Bench) -> None:
    class Dying(FakeWorld):
        async def start(self, asked: StartVersion) -> Instances:
            started = await super().start(asked)
            self.alive.pop("v1")
            return started

    world = Dying(stable="v2")
    result = await (await bench.start(world, a_way_back())).result()

    assert (result.outcome, result.stable) == (Phase.PROMOTED, "v1")
    assert world.effects == ["start v1", "scale v1 to 2", "traffic v1=100", "stop v2"]


async def test_a_guard_that_says_no_is_asked_again(fresh_bench: Bench) -> None:
    world, shop = turned_bad(), GuardedService(fresh_bench.client)
    async with holders(fresh_bench.client):
        chaos = await shop.granted(LeaseKind.CHAOS)
        handle = await fresh_bench.begin(world, a_way_back().model_copy(update={"ref": shop.ref}))
        await until_said(handle, "the way back was refused, trying again in 10 s")
        await end(chaos, LeaseOutcome.DONE)
        result = await handle.result()

    assert (result.outcome, result.stable) == (Phase.PROMOTED, "v1")
    assert world.alive == {"v1": 2}


async def test_a_person_ends_it_and_the_old_version_lives_on(bench: Bench) -> None:
    world = turned_bad()
    world.fail("start v1", "the host says no", times=1000)
    handle = await bench.start(world, a_way_back())
    await until_said(handle, "the host says no")
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert (result.outcome, result.stable) == (Phase.FAILED, "v2")
    assert result.reason == "aborted by ada"
    assert world.alive == {"v1": 2, "v2": 2}


async def test_a_person_ends_it_while_the_traffic_is_refused(bench: Bench) -> None:
    world = turned_bad()
    world.fail("traffic v1=100", "the router says no", times=1000)
    handle = await bench.start(world, a_way_back())
    await until_said(handle, "the router says no")
    await handle.execute_update(Rollout.abort, ADA)
    result = await handle.result()

    assert (result.outcome, result.stable) == (Phase.ROLLED_BACK, "v2")
    assert world.split == TrafficSplit(stable="v2")
    assert world.alive == {"v1": 2, "v2": 2}


async def test_a_newer_rollout_waits_for_it_even_if_it_would_supersede(real_bench: Bench) -> None:
    world = turned_bad()
    world.endless.add("traffic v1=100")
    handle = await real_bench.start(world, a_way_back())
    await world.stuck.wait()
    newer = Successor(request=next_to(handle, "v3"), supersede=True)
    answer = await handle.execute_update(Rollout.follow, newer)
    world.endless.clear()
    result = await handle.result()

    assert answer.text == "v3 comes next, once v1 is through"
    assert (await state(first_run(real_bench, handle))).phase is Phase.PROMOTED
    assert (result.outcome, result.version) == (Phase.PROMOTED, "v3")
    assert world.effects[:3] == ["start v1", "traffic v1=100", "stop v2"]


async def test_a_newer_rollout_does_not_take_the_place_of_one_that_is_about_to_begin(
    real_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = slow_hand_over(monkeypatch)
    world = a_world(unhealthy())
    world.endless.add("traffic v1=100")
    handle = await real_bench.start(world, a_request(spec=KEPT))
    await until_said(handle, "v1 comes back")
    newer = next_to(handle, "v3")
    why = await refused(handle.execute_update(Rollout.follow, Successor(request=newer)))
    held.clear()
    launched = await launch(real_bench.client, newer, IfBusy.WAIT)
    world.endless.clear()
    result = await handle.result()

    assert why == "v1 comes back first, as what was promoted is unhealthy; ask again in a moment"
    assert launched.waits is not None
    assert "v3 comes next, once v1 is through" in launched.waits
    assert world.effects.index("traffic v1=100") < world.effects.index("start v3")
    assert (result.outcome, result.version) == (Phase.PROMOTED, "v3")
