"""What every adapter of the role Deployer does, whatever runs the instances: subclass it beside a `stage` fixture."""

from typing import Protocol

import httpx
import pytest

from models.deployment import DeploySpec, Instance
from models.fence import Fence
from models.ids import ServiceRef
from providers.errors import NotReadyError
from providers.fencing import StaleOrderError
from providers.roles import Deployer

SHOP = ServiceRef(environment="local", service="shop")


def quiet(_: str) -> None:
    pass


class DeployerStage(Protocol):
    """A deployer, another one as a restarted worker has it, and specs of services with habits."""

    @property
    def deployer(self) -> Deployer: ...

    def restarted(self) -> Deployer: ...

    def spec(self, *habits: str, instances: int = 2) -> DeploySpec: ...


def answers(instance: Instance) -> bool:
    return httpx.get(f"http://{instance.address}/", timeout=5, trust_env=False).is_success


class DeployerContract:
    async def test_starts_as_many_as_asked_and_all_answer(self, stage: DeployerStage) -> None:
        told: list[str] = []
        started = await stage.deployer.start(SHOP, "v1", stage.spec(instances=3), told.append)

        assert len({instance.name for instance in started}) == 3
        assert all(map(answers, started))
        assert told[-1] == "3 of 3 ready"

    async def test_starting_what_runs_changes_nothing(self, stage: DeployerStage) -> None:
        first = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)

        assert await stage.deployer.start(SHOP, "v1", stage.spec(), quiet) == first

    async def test_another_worker_finds_what_runs_and_starts_nothing_twice(self, stage: DeployerStage) -> None:
        first = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
        other = stage.restarted()

        assert await other.instances(SHOP, stage.spec()) == first
        assert await other.start(SHOP, "v1", stage.spec(), quiet) == first

    async def test_versions_live_side_by_side_and_one_is_stopped_alone(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
        await stage.deployer.start(SHOP, "v2", stage.spec(), quiet)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)

        left = await stage.deployer.instances(SHOP, stage.spec())
        assert [instance.version for instance in left] == ["v2", "v2"]
        assert all(map(answers, left))

    async def test_stopping_what_does_not_run_is_no_error(self, stage: DeployerStage) -> None:
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)
        await stage.deployer.start(SHOP, "v1", stage.spec(), quiet)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)

        assert await stage.deployer.instances(SHOP, stage.spec()) == ()

    async def test_more_or_fewer_are_asked_for(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
        more = await stage.deployer.start(SHOP, "v1", stage.spec(instances=3), quiet)
        fewer = await stage.deployer.start(SHOP, "v1", stage.spec(instances=2), quiet)

        assert len(more) == 3
        assert fewer == more[:2]
        assert await stage.deployer.instances(SHOP, stage.spec()) == fewer

    async def test_with_fewer_those_listed_last_go_and_the_others_are_left_alone(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(instances=3), quiet)
        three = await stage.deployer.instances(SHOP, stage.spec())
        two = await stage.deployer.scale(SHOP, "v1", stage.spec(), 2, quiet)
        one = await stage.restarted().scale(SHOP, "v1", stage.spec(), 1, quiet)

        assert (two, one) == (three[:2], three[:1])
        assert await stage.deployer.instances(SHOP, stage.spec()) == one

    async def test_a_version_is_scaled_as_it_was_last_started(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
        changed = stage.spec("never-ready")
        three = await stage.deployer.scale(SHOP, "v1", changed, 3, quiet)

        assert len(three) == 3
        assert all(map(answers, three))

    async def test_a_start_that_comes_after_the_stop_of_a_later_step_is_refused(self, stage: DeployerStage) -> None:
        early, late = Fence(run_id="a", number=1), Fence(run_id="a", number=2)
        await stage.deployer.start(SHOP, "v1", stage.spec(), quiet, early)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet, late)
        with pytest.raises(StaleOrderError):
            await stage.restarted().start(SHOP, "v1", stage.spec(), quiet, early)
        with pytest.raises(StaleOrderError):
            await stage.deployer.scale(SHOP, "v1", stage.spec(), 1, quiet, early)

        assert await stage.deployer.instances(SHOP, stage.spec()) == ()

    async def test_a_start_is_refused_though_nothing_had_been_started_when_it_was_stopped(
        self, stage: DeployerStage
    ) -> None:
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet, Fence(run_id="a", number=2))
        with pytest.raises(StaleOrderError):
            await stage.deployer.start(SHOP, "v1", stage.spec(), quiet, Fence(run_id="a", number=1))

    async def test_a_stop_of_an_earlier_run_is_refused(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(), quiet, Fence(run_id="a", number=1))
        started = await stage.deployer.start(SHOP, "v1", stage.spec(), quiet, Fence(run_id="b", number=1))
        with pytest.raises(StaleOrderError):
            await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet, Fence(run_id="a", number=2))

        assert await stage.deployer.instances(SHOP, stage.spec()) == started

    async def test_what_never_becomes_ready_is_told_and_not_worth_trying_again(self, stage: DeployerStage) -> None:
        with pytest.raises(NotReadyError) as failure:
            await stage.deployer.start(SHOP, "v1", stage.spec("never-ready"), quiet)
        await stage.deployer.stop(SHOP, "v1", stage.spec(), quiet)

        assert not failure.value.retryable
        assert "answered 503" in str(failure.value)
        assert await stage.deployer.instances(SHOP, stage.spec()) == ()

    async def test_a_baseline_runs_as_its_version_was_started_and_is_stopped_alone(self, stage: DeployerStage) -> None:
        await stage.deployer.start(SHOP, "v1", stage.spec(instances=1), quiet)
        changed = stage.spec("never-ready")
        fresh = await stage.deployer.scale(SHOP, "v1~baseline", changed, 2, quiet)
        again = await stage.restarted().scale(SHOP, "v1~baseline", changed, 2, quiet)
        both = await stage.deployer.instances(SHOP, changed)
        await stage.deployer.stop(SHOP, "v1~baseline", changed, quiet)
        left = await stage.deployer.instances(SHOP, changed)

        assert all(map(answers, left))
        assert fresh == again
        assert sorted(instance.version for instance in both) == ["v1", "v1~baseline", "v1~baseline"]
        assert [instance.version for instance in left] == ["v1"]
