"""kill -9 of the guards' worker while it asks, decides and gives back: one lease, one record, as undisturbed."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from models.guard import Grant, LeaseKind, LeaseOutcome
from models.ids import guard_id
from runtime.plugin import holdfast_plugin
from tests.crash.plan import CrashFolder, Death, Moment
from tests.whole.platform import Platform
from tests.workflows.guard_harness import GuardedService, answer_of, end, holders

MOMENTS = tuple(Moment) if os.environ.get("HOLDFAST_CRASH") == "full" else (Moment.AFTER,)


@pytest_asyncio.fixture
async def shop(mortal_platform: Platform) -> AsyncIterator[GuardedService]:
    client = await Client.connect(mortal_platform.record["temporal"], plugins=[holdfast_plugin()])
    async with holders(client):
        yield GuardedService(client)


@pytest.fixture
def folder(mortal_platform: Platform) -> CrashFolder:
    return CrashFolder(mortal_platform.home)


async def decided(shop: GuardedService) -> list[str]:
    return [decision.text for decision in (await shop.state()).decisions]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_death_while_asking(shop: GuardedService, folder: CrashFolder, moment: Moment) -> None:
    holder_id = f"{LeaseKind.ROLLOUT}/{shop.ref}/mortal"
    folder.plan(Death(workflow_id=holder_id, activity="guard.acquire", nth=1, moment=moment))
    holder = await shop.start(name="mortal", version="v2")
    answer = await answer_of(holder)

    assert folder.due is None, "the worker did not die where it was told to"
    assert isinstance(answer, Grant)
    assert list((await shop.state()).leases) == [answer.lease]
    assert await decided(shop) == [f"granted rollout v2 for {holder_id}"]


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_death_while_giving_back(shop: GuardedService, folder: CrashFolder, moment: Moment) -> None:
    holder = await shop.granted(version="v2")
    folder.plan(Death(workflow_id=holder.id, activity="guard.release", nth=1, moment=moment))
    await end(holder, LeaseOutcome.ROLLED_BACK)

    assert folder.due is None, "the worker did not die where it was told to"
    state = await shop.state()
    assert state.leases == ()
    assert [cooldown.version for cooldown in state.cooldowns] == ["v2"]
    assert len(state.decisions) == 2


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_death_while_looking_for_a_holder(shop: GuardedService, folder: CrashFolder, moment: Moment) -> None:
    dead = await shop.granted(version="v2")
    await dead.terminate()
    folder.plan(Death(workflow_id=guard_id(shop.ref), activity="guard.holder_runs", nth=1, moment=moment))
    await shop.granted(version="v3")

    assert folder.due is None, "the worker did not die where it was told to"
    assert [lease.version for lease in (await shop.state()).leases] == ["v3"]
    assert len([text for text in await decided(shop) if "is void" in text]) == 1
