"""What every TrafficRouter must do. An adapter's test derives from RouterContract and gives a `stage`."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import pytest

from models.fence import Fence
from models.ids import ServiceRef, Version
from models.traffic import Backend, TrafficSpec, TrafficSplit
from providers.errors import ProviderError
from providers.fencing import StaleOrderError
from providers.roles import TrafficRouter


class RouterStage(Protocol):
    """A world in which a router can be tried on a service that has no traffic yet."""

    router: TrafficRouter
    absent: TrafficRouter
    """The same adapter, told of a router that does not exist."""
    ref: ServiceRef
    spec: TrafficSpec

    async def start(self, version: Version) -> Backend:
        """Start an instance that answers every request with success."""
        ...

    async def send(self, count: int) -> Counter[str]:
        """Successful answers per version; anything else is counted under another name."""
        ...


class RouterContract:
    async def apply(self, stage: RouterStage, split: TrafficSplit, backends: Sequence[Backend]) -> None:
        await stage.router.apply(stage.ref, stage.spec, split, backends)

    async def test_says_none_before_anything_was_asked(self, stage: RouterStage) -> None:
        assert await stage.router.current(stage.ref, stage.spec) is None

    async def test_sends_all_traffic_to_the_stable_version(self, stage: RouterStage) -> None:
        split = TrafficSplit(stable="v1")

        await self.apply(stage, split, [await stage.start("v1")])

        assert await stage.send(30) == {"v1": 30}
        assert await stage.router.current(stage.ref, stage.spec) == split

    async def test_a_candidate_without_weight_receives_nothing(self, stage: RouterStage) -> None:
        split = TrafficSplit(stable="v1", candidate="v2", weight=0.0)

        await self.apply(stage, split, [await stage.start("v1"), await stage.start("v2")])

        assert await stage.send(30) == {"v1": 30}
        assert await stage.router.current(stage.ref, stage.spec) == split

    async def test_a_split_is_in_force_when_apply_returns(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1"), await stage.start("v2")]
        await self.apply(stage, TrafficSplit(stable="v1", candidate="v2", weight=0.0), backends)

        await self.apply(stage, TrafficSplit(stable="v1", candidate="v2", weight=100.0), backends)
        assert await stage.send(30) == {"v2": 30}

        await self.apply(stage, TrafficSplit(stable="v1", candidate="v2", weight=50.0), backends)
        assert set(await stage.send(100)) == {"v1", "v2"}

    async def test_asking_again_changes_nothing(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1"), await stage.start("v2")]
        split = TrafficSplit(stable="v1", candidate="v2", weight=50.0)

        await self.apply(stage, split, backends)
        await self.apply(stage, split, backends)

        assert await stage.router.current(stage.ref, stage.spec) == split
        assert set(await stage.send(100)) == {"v1", "v2"}

    async def test_a_promoted_candidate_serves_alone(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1"), await stage.start("v2")]
        await self.apply(stage, TrafficSplit(stable="v1", candidate="v2", weight=50.0), backends)

        await self.apply(stage, TrafficSplit(stable="v2"), backends)

        assert await stage.send(30) == {"v2": 30}
        assert await stage.router.current(stage.ref, stage.spec) == TrafficSplit(stable="v2")

    async def test_a_baseline_is_in_the_split_as_it_was_asked_for_and_loses_all_with_the_candidate(
        self, stage: RouterStage
    ) -> None:
        backends = [await stage.start("v1"), await stage.start("v1~baseline"), await stage.start("v2")]
        half = TrafficSplit(stable="v1", candidate="v2", weight=50.0, baseline=50.0)
        await self.apply(stage, half, backends)
        asked = await stage.router.current(stage.ref, stage.spec)
        answers = await stage.send(100)
        await stage.router.give_back(stage.ref, stage.spec, TrafficSplit(stable="v1"), backends)

        assert asked == half
        assert set(answers) == {"v1", "v2"}
        assert await stage.send(30) == {"v1": 30}
        assert await stage.router.current(stage.ref, stage.spec) == TrafficSplit(stable="v1")

    async def test_a_removed_service_is_not_routed_and_can_be_removed_again(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1")]
        await self.apply(stage, TrafficSplit(stable="v1"), backends)

        await stage.router.remove(stage.ref, stage.spec)
        assert await stage.router.current(stage.ref, stage.spec) is None
        await stage.router.remove(stage.ref, stage.spec)

        await self.apply(stage, TrafficSplit(stable="v1"), backends)
        assert await stage.send(10) == {"v1": 10}

    async def test_refuses_a_version_that_has_no_instance(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1")]
        await self.apply(stage, TrafficSplit(stable="v1"), backends)

        with pytest.raises(ProviderError, match="v2") as refusal:
            await self.apply(stage, TrafficSplit(stable="v1", candidate="v2", weight=10.0), backends)

        assert not refusal.value.retryable
        assert await stage.send(10) == {"v1": 10}
        assert await stage.router.current(stage.ref, stage.spec) == TrafficSplit(stable="v1")

    async def test_a_split_of_an_earlier_step_does_not_come_after_that_of_a_later_one(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1"), await stage.start("v2")]
        canary = TrafficSplit(stable="v1", candidate="v2", weight=10.0)
        early, late = Fence(run_id="a", number=2), Fence(run_id="a", number=3)
        await stage.router.apply(stage.ref, stage.spec, canary, backends, early)
        await stage.router.apply(stage.ref, stage.spec, TrafficSplit(stable="v2"), backends, late)
        with pytest.raises(StaleOrderError):
            await stage.router.apply(stage.ref, stage.spec, canary, backends, early)

        assert await stage.send(10) == {"v2": 10}
        assert await stage.router.current(stage.ref, stage.spec) == TrafficSplit(stable="v2")

    async def test_a_router_that_is_not_there_is_worth_another_try(self, stage: RouterStage) -> None:
        backends = [await stage.start("v1")]
        calls = (
            stage.absent.current(stage.ref, stage.spec),
            stage.absent.apply(stage.ref, stage.spec, TrafficSplit(stable="v1"), backends),
            stage.absent.remove(stage.ref, stage.spec),
        )
        for call in calls:
            with pytest.raises(ProviderError) as failure:
                await call
            assert failure.value.retryable
