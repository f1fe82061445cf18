"""What cuts in at an awkward moment: the end is still the decided one, and nothing that waits is lost."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from models.deployment import Instances, ListInstances, StartVersion
from models.ids import parse_rollout_id
from models.rollout import Phase, Successor
from models.traffic import TrafficSplit
from tests.factories import a_request, a_rolling_service, a_service, a_step, keeping, unhealthy
from tests.workflows.harness import ADA, Bench, state, until, until_phase
from tests.workflows.world import FakeWorld
from workflows.rollout import Rollout


class DyingStable(FakeWorld):
    """The stable version's instances die after they were first looked at."""

    async def instances(self, asked: ListInstances) -> Instances:
        found = await super().instances(asked)
        if not self.effects:
            self.alive.pop("v1", None)
        return found


class LosingItsHost(FakeWorld):
    """A start that is cut off ends by an error of its own, as when its worker died too."""

    async def start(self, asked: StartVersion) -> Instances:
        try:
            return await super().start(asked)
        except asyncio.CancelledError:
            raise ApplicationError("the host is gone", non_retryable=True) from None


async def test_cancelling_it_while_it_is_taken_back_changes_nothing_of_the_end(bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    world.endless.add("stop v2")
    handle = await bench.start(world)
    await world.stuck.wait()
    await handle.cancel()
    world.endless.clear()
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.effects[-1] == "stop v2"
    assert (await state(handle)).phase is Phase.ROLLED_BACK


async def test_what_waits_gets_its_turn_though_the_one_before_is_cancelled_while_taken_back(real_bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    world.endless.add("stop v2")
    handle = await real_bench.start(world)
    await world.stuck.wait()
    newer = a_request("v3").model_copy(update={"ref": parse_rollout_id(handle.id), "id": "next"})
    await handle.execute_update(Rollout.follow, Successor(request=newer))
    await handle.cancel()
    world.endless.clear()
    result = await handle.result()

    assert (result.outcome, result.version) == (Phase.PROMOTED, "v3")


async def test_a_stable_version_that_dies_as_a_rolling_rollout_begins_is_brought_back(fresh_bench: Bench) -> None:
    world = DyingStable()
    world.alive = {"v1": 3}
    result = await (await fresh_bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.alive == {"v1": 3}
    assert len(world.backends["v1"]) == 3


async def test_a_version_that_is_not_ready_leaves_a_stable_one_that_died_alive(fresh_bench: Bench) -> None:
    world = DyingStable()
    world.alive = {"v1": 3}
    world.fail("start v2", "not ready")
    result = await (await fresh_bench.start(world, a_request(spec=a_rolling_service(3)))).result()

    assert result.outcome is Phase.ROLLED_BACK
    assert world.alive == {"v1": 3}
    assert len(world.backends["v1"]) == 3


@pytest.mark.parametrize("effect", ["traffic v1=100", "stop v9"])
async def test_an_abort_is_heard_while_what_was_left_behind_is_cleared_away(bench: Bench, effect: str) -> None:
    world = FakeWorld()
    world.alive = {"v1": 2, "v9": 2}
    world.split = TrafficSplit(stable="v1", candidate="v9", weight=50.0)
    world.endless.add(effect)
    handle = await bench.start(world)
    await world.stuck.wait()
    await handle.execute_update(Rollout.abort, ADA)

    async def ended() -> bool:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    try:
        await until(ended, "the rollout to end", within=15)
    finally:
        world.endless.clear()
    assert (await handle.result()).reason == "aborted by ada"


async def test_the_rollout_under_way_is_not_its_own_successor(bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await bench.start(world, a_request().model_copy(update={"id": "only-once"}))
    await world.watching.wait()
    seen = await state(handle)
    again = a_request().model_copy(update={"ref": seen.ref, "id": "only-once"})
    await handle.execute_update(Rollout.follow, Successor(request=again, supersede=True))
    await handle.execute_update(Rollout.promote, ADA)
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert (await state(handle)).next is None
    assert world.effects.count("start v2") == 1


async def test_a_bake_that_is_interrupted_after_its_time_is_still_judged(real_bench: Bench) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await real_bench.start(world, a_request(spec=a_service(a_step(10, bake=0.2))))
    await world.watching.wait()

    async def overdue() -> bool:
        began = next(step.started_at for step in (await state(handle)).steps if step.step.kind == "bake")
        return began is not None and datetime.now(UTC) - began > timedelta(seconds=1)

    await until(overdue, "the bake's time to be over")
    await handle.execute_update(Rollout.pause, ADA)
    await until_phase(handle, Phase.PAUSED)
    world.endless.clear()
    world.verdicts.append(unhealthy())
    await handle.execute_update(Rollout.resume, ADA)
    result = await handle.result()

    assert result.outcome is Phase.ROLLED_BACK


async def test_leftovers_are_cleared_away_though_the_version_asked_for_is_stable_already(bench: Bench) -> None:
    world = FakeWorld()
    world.alive = {"v1": 2, "v9": 2}
    result = await (await bench.start(world, a_request("v1"))).result()

    assert result.outcome is Phase.UNCHANGED
    assert world.alive == {"v1": 2}


async def test_the_abort_is_the_reason_though_what_it_cut_off_failed(bench: Bench) -> None:
    world = LosingItsHost()
    world.endless.add("start")
    handle = await bench.start(world)
    await world.starting.wait()
    await handle.execute_update(Rollout.abort, ADA)

    assert (await handle.result()).reason == "aborted by ada"


async def test_an_undo_refused_for_days_keeps_the_history_short(fresh_bench: Bench) -> None:
    world = FakeWorld()
    world.verdicts.append(unhealthy())
    world.fail("traffic v1=100", "the router says no", times=100)
    handle = await fresh_bench.start(world)
    result = await handle.result()
    history = await handle.fetch_history()
    took = history.events[-1].event_time.ToDatetime() - history.events[0].event_time.ToDatetime()

    assert result.outcome is Phase.ROLLED_BACK
    assert took / len(history.events) * 51_200 > timedelta(days=7), "Temporal would end it, and with it the undo"


async def test_a_cancellation_after_the_promotion_while_the_guard_is_away_leaves_nothing_over(
    real_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FakeWorld()
    world.endless.add("watch")
    handle = await real_bench.start(world, a_request(spec=keeping(a_service(), timedelta(days=300))))
    await world.watching.wait()

    async def promoted() -> bool:
        return any(step.step.kind == "promote" and step.ended_at for step in (await state(handle)).steps)

    with monkeypatch.context() as away:
        away.delattr("activities.guards.guard_start")
        await handle.execute_update(Rollout.promote, ADA)
        await until(promoted, "the promotion")
        await handle.cancel()
    result = await handle.result()

    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 2}


class FailingReads(FakeWorld):
    """Once traffic was touched, every read fails so many times before it is answered."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.reads, self._times = 0, times

    async def instances(self, asked: ListInstances) -> Instances:
        self.reads += 1
        if self.effects and self.reads % (self._times + 1):
            raise ApplicationError("the API does not answer", type="ProviderError")
        return await super().instances(asked)


@pytest.mark.parametrize("times", [7, pytest.param(10, marks=pytest.mark.full)])
async def test_reads_that_fail_in_the_middle_do_not_end_a_good_version(fresh_bench: Bench, times: int) -> None:
    """More often than the reads of a rollout's beginning are tried."""
    world = FailingReads(times)
    result = await (await fresh_bench.start(world)).result()

    assert world.reads > times
    assert result.outcome is Phase.PROMOTED
    assert world.alive == {"v2": 2}
