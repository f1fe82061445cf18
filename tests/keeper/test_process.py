"""The keeper as a process of its own, with a real Envoy: nobody renews, whatever else is dead."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.keeper import LeaseState
from models.traffic import TrafficSplit
from tests.exposition import scrape, total
from tests.keeper.canary import Canary, KeeperProcess, a_canary, keeper_process
from tests.providers.envoy_harness import Envoy, Site, Upstream, eventually, running_site

BOUND = 2.0
"""Seconds after the deadline within which traffic is back."""


@pytest.fixture
async def keeper(envoy: Envoy, tmp_path: Path) -> AsyncIterator[KeeperProcess]:
    async with keeper_process(envoy, tmp_path) as keeper:
        yield keeper


@pytest.fixture
async def canary(keeper: KeeperProcess, site: Site, tmp_path: Path) -> Canary:
    return await a_canary(site, tmp_path)


async def test_traffic_is_back_within_two_seconds_of_the_deadline_and_not_before(canary: Canary) -> None:
    await canary.begin(50.0)

    taken = await canary.until_returned(within=10)

    assert 2.0 <= taken <= 2.0 + BOUND
    assert await canary.all_at_stable()
    standing = await canary.renew()
    assert standing.state is LeaseState.CARRIED_OUT
    assert standing.lapsed_at
    assert standing.carried_out_at


async def test_a_renewed_lease_does_not_lapse(canary: Canary) -> None:
    await canary.begin(50.0)
    renewals = 0

    async def long_after_the_deadline() -> bool:
        nonlocal renewals
        assert (await canary.renew()).state is LeaseState.HELD
        renewals += 1
        return renewals > 200  # at one every 20 ms: twice the lease

    await eventually(long_after_the_deadline, "many renewals", within=30)

    assert await canary.current() == TrafficSplit(stable="v1", candidate="v2", weight=50.0)


async def test_a_late_write_of_a_stalled_worker_is_taken_back(canary: Canary) -> None:
    await canary.begin()
    await canary.until_returned(within=10)

    await canary.set_weight(100.0)

    await canary.until_returned(within=BOUND)
    assert await canary.all_at_stable()


async def test_after_it_is_settled_nothing_is_undone_any_more(canary: Canary, envoy: Envoy, tmp_path: Path) -> None:
    await canary.begin()
    await canary.until_returned(within=10)

    settled = await canary.settle()
    await canary.set_weight(100.0)

    assert settled.state is LeaseState.CARRIED_OUT
    async with running_site(envoy, canary.site.ref.model_copy(update={"service": "cart"})) as other:
        cart = await a_canary(other, tmp_path)
        await cart.begin()
        await cart.until_returned(within=10)  # the keeper looked at its ledger several times meanwhile
    assert await canary.current() == TrafficSplit(stable="v1", candidate="v2", weight=100.0)


async def test_a_keeper_that_was_killed_carries_out_on_its_return_what_lapsed_meanwhile(
    canary: Canary, keeper: KeeperProcess
) -> None:
    await canary.begin(50.0)
    await keeper.end(signal.SIGKILL)

    await canary.until_overdue()
    assert await canary.current() == TrafficSplit(stable="v1", candidate="v2", weight=50.0)
    await keeper.start()

    await canary.until_returned(within=BOUND)


async def test_a_keeper_killed_and_started_again_in_time_meets_the_deadline(
    canary: Canary, keeper: KeeperProcess
) -> None:
    await canary.begin()
    await keeper.end(signal.SIGKILL)
    await keeper.start()

    taken = await canary.until_returned(within=10)

    assert 2.0 <= taken <= 2.0 + BOUND


async def test_what_it_keeps_and_what_it_carried_out_is_measured(canary: Canary, keeper: KeeperProcess) -> None:
    await canary.begin()
    address = await keeper.metrics()

    async def measured(name: str, value: float, **labels: str) -> None:
        async def is_so() -> bool:
            return total(await asyncio.to_thread(scrape, address), name, **labels) == value

        await eventually(is_so, f"{name} to be {value}", within=10)

    await measured("holdfast_keeper_leases", 1, state="held")
    await measured("holdfast_keeper_leases", 1, state="lapsed")
    await measured("holdfast_keeper_carried_out_total", 1)
    await measured("holdfast_keeper_troubles", 0)
    await canary.settle()
    await measured("holdfast_keeper_leases", 0, state="lapsed")
    await measured("holdfast_keeper_ready", 1)


async def test_a_keeper_started_again_still_takes_late_writes_back(canary: Canary, keeper: KeeperProcess) -> None:
    await canary.begin()
    await canary.until_returned(within=10)
    before = (await canary.until_recorded()).carried_out_at
    await keeper.end(signal.SIGKILL)
    await canary.set_weight(100.0)

    await keeper.start()

    await canary.until_returned(within=BOUND)
    assert (await canary.renew()).carried_out_at == before


async def test_an_envoy_that_is_dead_at_the_deadline_serves_stable_from_its_first_request(
    canary: Canary, envoy: Envoy, keeper: KeeperProcess
) -> None:
    await canary.begin(100.0)
    envoy.kill()

    await keeper.until_said("is written down; Envoy serves it once it runs")
    await envoy.start()

    assert await canary.all_at_stable()
    await canary.until_recorded()


async def test_stable_that_came_back_on_another_port_keeps_it(canary: Canary, site: Site, envoy: Envoy) -> None:
    await canary.begin(50.0)
    reborn = await Upstream("v1").start()
    await envoy.router.refresh(site.ref, "v1", [reborn.address])
    await site.upstreams["v1"][0].stop()

    await canary.until_returned(within=10)

    assert await canary.all_at_stable()
    await reborn.stop()


async def test_one_that_cannot_be_carried_out_delays_no_other(
    canary: Canary, envoy: Envoy, keeper: KeeperProcess, tmp_path: Path
) -> None:
    async with running_site(envoy, canary.site.ref.model_copy(update={"service": "cart"})) as other:
        cart = await a_canary(other, tmp_path)
        nowhere = cart.lease.undo.model_copy(update={"backends": ()})
        cart.lease = cart.lease.model_copy(update={"undo": nowhere})
        await cart.begin()
        await canary.begin()

        taken = await canary.until_returned(within=10)

        assert taken <= 2.0 + BOUND
        assert (await cart.renew()).carried_out_at is None
        said = keeper.log.read_text()
        assert "no instance of it was named" in said
        assert len(re.findall("no instance of it was named", said)) == 1, "once, not each second"


async def test_a_damaged_file_is_told_and_stops_no_other(canary: Canary, keeper: KeeperProcess, tmp_path: Path) -> None:
    leases = tmp_path / "keeper" / "leases"
    leases.mkdir(parents=True, exist_ok=True)
    (leases / "weight%2Flocal%2Fcart.json").write_text('{"lease": {"key": "weight/lo')
    await canary.begin()

    taken = await canary.until_returned(within=10)

    assert taken <= 2.0 + BOUND
    assert "does not hold the lease weight/local/cart any more" in keeper.log.read_text()


async def test_a_second_keeper_of_a_ledger_is_refused(keeper: KeeperProcess, envoy: Envoy, tmp_path: Path) -> None:
    second = KeeperProcess(tmp_path, envoy.admin, tmp_path / "second.log")
    process = await second.spawn()

    assert await process.wait() == 1
    assert "Another keeper already serves" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()


async def test_it_leaves_when_told_to(keeper: KeeperProcess) -> None:
    assert await keeper.end(signal.SIGTERM) == 0
