"""Weights that are leased: armed before they are set, renewed while watched, settled when they are decided."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.leases import LeaseActivities
from activities.traffic import TrafficActivities
from models.counters import Counters, MetricSnapshot
from models.fence import Fence
from models.ids import ServiceRef
from models.judge_spec import EnvoyMetrics, JudgeSpec
from models.judgement import Outcome, Verdict, Watch
from models.keeper import LEASE_LAPSED, LEASE_LOST, LeaseKey, LeaseState
from models.traffic import Backend, EnvoyTraffic, SetTraffic, TrafficSpec, TrafficSplit
from providers.errors import ProviderError
from tests.activities.fake_evidence_log import FakeEvidenceLog
from tests.activities.fake_keeper import GONE, HELD, LAPSED, FakeKeeper, a_key
from tests.factories import SHOP, WHEN

CANARY = TrafficSplit(stable="v1", candidate="v2", weight=10.0)
PROMOTED = TrafficSplit(stable="v2")
BACKENDS = (
    Backend(version="v1", addresses=("127.0.0.1:2001",)),
    Backend(version="v2", addresses=("127.0.0.1:2002",)),
)
FULL = ProviderError("the disk is full", retryable=True)


class Router:
    """A TrafficRouter that writes into the keeper's story what it was asked."""

    def __init__(self, story: list[str]) -> None:
        self._story = story

    async def current(self, ref: ServiceRef, spec: TrafficSpec) -> TrafficSplit | None:
        return None

    async def apply(
        self,
        ref: ServiceRef,
        spec: TrafficSpec,
        split: TrafficSplit,
        backends: Sequence[Backend],
        fence: Fence | None = None,
    ) -> None:
        self._story.append("apply")

    async def give_back(
        self, ref: ServiceRef, spec: TrafficSpec, split: TrafficSplit, backends: Sequence[Backend]
    ) -> None:
        raise AssertionError("that is the keeper's")

    async def remove(self, ref: ServiceRef, spec: TrafficSpec) -> None:
        raise AssertionError("nobody asks for it")


class Source:
    """A metric source with ever more requests, all of them fine."""

    def __init__(self) -> None:
        self._requests = 0

    async def snapshot(self, ref: object, spec: object, versions: object) -> MetricSnapshot:
        self._requests += 20
        return MetricSnapshot(taken_at=WHEN, versions={"v2": Counters(requests=self._requests)})

    async def measure(self, ref: object, spec: object, query: object, version: object) -> None:
        return None


class ControlPlane:
    """Temporal, as a watch asks it whether it is still wanted."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self) -> bool:
        self.asked += 1
        return self.answers


def a_split(split: TrafficSplit, **leases: LeaseKey) -> SetTraffic:
    spec = EnvoyTraffic(listen="127.0.0.1:2000")
    return SetTraffic(ref=SHOP, spec=spec, split=split, backends=BACKENDS).model_copy(update=leases)


async def apply(keeper: FakeKeeper, asked: SetTraffic) -> LeaseState | None:
    """What became of the lease that was settled."""
    activities = TrafficActivities({"envoy": Router(keeper.story)}, {}, {}, keeper, FakeEvidenceLog())
    settled = (await ActivityEnvironment().run(activities.apply, asked)).settled
    return settled.state if settled else None


async def watch(
    keeper: FakeKeeper, lease: LeaseKey | None, control_plane: ControlPlane, bake: float | None = None
) -> Verdict:
    activities = TrafficActivities({}, {"envoy": Source()}, {}, keeper, FakeEvidenceLog(), still_wanted=control_plane)
    judge = JudgeSpec(tick=timedelta(milliseconds=100), window=timedelta(seconds=1))
    asked = Watch(
        ref=SHOP,
        metrics=EnvoyMetrics(),
        judge=judge,
        stable="v1",
        candidate="v2",
        bake=None if bake is None else timedelta(seconds=bake),
        lease=lease,
    )
    return await asyncio.wait_for(ActivityEnvironment().run(activities.watch, asked), 20)


async def test_a_weight_is_armed_before_it_is_set_and_counted_from_when_it_is() -> None:
    keeper = FakeKeeper()

    await apply(keeper, a_split(CANARY, lease=a_key(30)))

    assert keeper.story == ["arm", "apply", "renew"]
    (lease,) = keeper.armed
    assert lease.name() == a_key(30)
    assert lease.undo.split == TrafficSplit(stable="v1")
    assert lease.undo.backends == BACKENDS


async def test_what_a_baseline_has_is_taken_back_with_the_candidates_weight() -> None:
    keeper = FakeKeeper()
    split = CANARY.model_copy(update={"baseline": 10.0})

    await apply(keeper, a_split(split, lease=a_key(30)))

    assert keeper.armed[0].undo.split.weights() == {"v1": 100.0}


async def test_a_weight_is_not_set_where_it_cannot_be_armed() -> None:
    keeper = FakeKeeper(FULL)

    with pytest.raises(ApplicationError, match="the disk is full") as failure:
        await apply(keeper, a_split(CANARY, lease=a_key()))

    assert not failure.value.non_retryable
    assert keeper.story == ["arm"]


async def test_a_weight_whose_lease_lapsed_before_is_not_set() -> None:
    keeper = FakeKeeper(LAPSED)

    with pytest.raises(ApplicationError) as failure:
        await apply(keeper, a_split(CANARY, lease=a_key()))

    assert (failure.value.type, failure.value.non_retryable) == (LEASE_LAPSED, True)
    assert keeper.story == ["arm"]


async def test_a_weight_that_took_longer_to_set_than_its_lease_is_told() -> None:
    with pytest.raises(ApplicationError, match="is undone since 00:00:00 UTC") as failure:
        await apply(FakeKeeper(HELD, LAPSED), a_split(CANARY, lease=a_key()))

    assert failure.value.type == LEASE_LAPSED


async def test_a_weight_that_is_set_after_a_lapse_that_nobody_saw_says_so() -> None:
    keeper = FakeKeeper(HELD.model_copy(update={"lapsed_before": WHEN}), HELD)
    activities = TrafficActivities({"envoy": Router(keeper.story)}, {}, {}, keeper, FakeEvidenceLog())
    done = await ActivityEnvironment().run(activities.apply, a_split(CANARY, lease=a_key()))

    assert done.lapsed_before == (
        "weight/local/shop was not renewed for 0.6 s: what it was for was undone from 00:00:00 UTC on"
    )


async def test_a_lease_is_renewed_while_its_weight_takes_long_to_be_set() -> None:
    keeper = FakeKeeper()

    class SlowRouter(Router):
        async def apply(self, *asked: object, **named: object) -> None:
            await asyncio.sleep(0.6)

    async def answers() -> bool:
        return True

    activities = TrafficActivities({"envoy": SlowRouter([])}, {}, {}, keeper, FakeEvidenceLog(), still_wanted=answers)
    await ActivityEnvironment().run(activities.apply, a_split(CANARY, lease=a_key(0.6)))

    assert keeper.story.count("renew") >= 4


async def test_what_the_keeper_would_take_back_is_settled_first() -> None:
    keeper = FakeKeeper(GONE)

    assert await apply(keeper, a_split(PROMOTED, settle_first=a_key())) is LeaseState.GONE
    assert keeper.story == ["settle", "apply"]


async def test_a_promotion_whose_lease_lapsed_does_not_happen() -> None:
    keeper = FakeKeeper(LAPSED)

    with pytest.raises(ApplicationError) as failure:
        await apply(keeper, a_split(PROMOTED, settle_first=a_key()))

    assert failure.value.type == LEASE_LAPSED
    assert keeper.story == ["settle"]


async def test_the_way_back_is_settled_afterwards_whatever_became_of_the_lease() -> None:
    keeper = FakeKeeper(LAPSED)

    assert await apply(keeper, a_split(TrafficSplit(stable="v1"), settle_after=a_key())) is LeaseState.CARRIED_OUT
    assert keeper.story == ["apply", "settle"]


async def test_a_split_without_leases_asks_the_keeper_nothing() -> None:
    keeper = FakeKeeper()

    assert await apply(keeper, a_split(CANARY)) is None
    assert keeper.story == ["apply"]


def test_a_lease_without_a_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="a lease is for a candidate's weight"):
        SetTraffic.model_validate(a_split(PROMOTED).model_dump() | {"lease": a_key().model_dump()})


async def test_a_watch_renews_six_times_per_lease_and_gives_its_verdict() -> None:
    keeper, control_plane = FakeKeeper(), ControlPlane()

    verdict = await watch(keeper, a_key(seconds=1.2), control_plane, bake=1.2)

    assert verdict.outcome is Outcome.HEALTHY
    assert 3 <= len(keeper.story) <= 8
    assert control_plane.asked == len(keeper.story)


async def test_a_watch_renews_nothing_while_temporal_does_not_answer() -> None:
    keeper, control_plane = FakeKeeper(), ControlPlane(answers=False)

    verdict = await watch(keeper, a_key(seconds=0.6), control_plane, bake=1.0)

    assert verdict.outcome is Outcome.HEALTHY
    assert control_plane.asked >= 2
    assert keeper.story == []


async def test_a_watch_ends_as_soon_as_its_lease_was_carried_out_and_says_when() -> None:
    with pytest.raises(
        ApplicationError, match=r"weight/local/shop was not renewed for 0\.6 s.*00:00:00 UTC"
    ) as failure:
        await watch(FakeKeeper(HELD, LAPSED), a_key(seconds=0.6), ControlPlane())

    assert (failure.value.type, failure.value.non_retryable) == (LEASE_LAPSED, True)
    (standing,) = failure.value.details
    assert standing == LAPSED


async def test_a_watch_ends_when_its_lease_is_gone() -> None:
    with pytest.raises(ApplicationError) as failure:
        await watch(FakeKeeper(GONE), a_key(), ControlPlane())

    assert (failure.value.type, failure.value.non_retryable) == (LEASE_LOST, True)


async def test_a_renewal_that_fails_is_tried_again() -> None:
    keeper = FakeKeeper(FULL, FULL, HELD)

    verdict = await watch(keeper, a_key(seconds=0.6), ControlPlane(), bake=1.0)

    assert verdict.outcome is Outcome.HEALTHY
    assert len(keeper.story) >= 3


async def test_a_watch_without_a_lease_asks_neither_keeper_nor_temporal() -> None:
    keeper, control_plane = FakeKeeper(), ControlPlane()

    verdict = await watch(keeper, None, control_plane, bake=0.3)

    assert verdict.outcome is Outcome.HEALTHY
    assert (keeper.story, control_plane.asked) == ([], 0)


async def test_leases_by_themselves_are_passed_on_to_the_keeper() -> None:
    keeper = FakeKeeper(HELD, HELD, GONE)
    activities, environment = LeaseActivities(keeper), ActivityEnvironment()
    setting = FakeKeeper()
    await apply(setting, a_split(CANARY, lease=a_key()))
    (lease,) = setting.armed

    states = [
        (await environment.run(activities.arm, lease)).state,
        (await environment.run(activities.renew, a_key())).state,
        (await environment.run(activities.settle, a_key())).state,
    ]

    assert states == [LeaseState.HELD, LeaseState.HELD, LeaseState.GONE]
    assert keeper.story == ["arm", "renew", "settle"]
