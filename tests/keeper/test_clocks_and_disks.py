"""The keeper's promise where clocks jump, the host was started again, or the disk is full."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.keeper import LeaseState
from providers.errors import ProviderError
from tests.keeper.canary import a_canary, keeper_process
from tests.providers.envoy_harness import running_envoy, running_site
from tests.small_disk import fill, small_disk

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime; Debian's package faketime has it")
@pytest.mark.parametrize("jump", ["+1h", "-1h"])
async def test_a_wall_clock_that_jumps_by_an_hour_moves_no_deadline(tmp_path: Path, jump: str) -> None:
    """The clock jumps under the running keeper, between arming and deadline; the one who armed sees the old one."""
    shift = tmp_path / "shift"
    shift.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with (
        running_envoy(tmp_path / "envoy") as envoy,
        running_site(envoy) as site,
        keeper_process(envoy, tmp_path, env=faked),
    ):
        canary = await a_canary(site, tmp_path)
        await canary.begin(50.0)
        shift.write_text(jump)

        taken = await canary.until_returned(within=10)

        carried_out_at = (await canary.until_recorded()).carried_out_at
    # An hour off would be seen. The bound is wider than the promise, as a faked clock costs a file read per look at it.
    assert 2.0 <= taken <= 8.0
    assert carried_out_at
    seen_by_the_keeper = abs(carried_out_at - datetime.now(UTC))
    assert timedelta(minutes=59) < seen_by_the_keeper < timedelta(minutes=61), "the jump did not reach the keeper"


async def test_after_another_boot_every_lease_has_lapsed(tmp_path: Path) -> None:
    async with (
        running_envoy(tmp_path / "envoy") as envoy,
        running_site(envoy) as site,
        keeper_process(envoy, tmp_path) as keeper,
    ):
        canary = await a_canary(site, tmp_path, duration=600)
        await canary.begin(50.0)
        await keeper.end()
        async with canary.ledger.acting(canary.lease.key) as record:
            assert record
            former = record.deadline.model_copy(update={"boot": "the former one"})
            await canary.ledger.write(record.model_copy(update={"deadline": former}))

        await keeper.start()

        await canary.until_returned(within=2)


async def test_a_disk_that_fills_up_keeps_no_bad_version_in_traffic(tmp_path: Path) -> None:
    """Ledger and Envoy's files are on it: the keeper gives up space that it held back."""
    with small_disk(tmp_path / "disk", "4m") as home:
        async with (
            running_envoy(home / "envoy") as envoy,
            running_site(envoy) as site,
            keeper_process(envoy, home, log=tmp_path / "keeper.log"),
        ):
            canary = await a_canary(site, home)
            await canary.begin(50.0)
            filling = fill(home)
            with pytest.raises(ProviderError, match="the disk is full"):
                await canary.renew()

            taken = await canary.until_returned(within=10)

            assert taken <= 4.0
            assert await canary.all_at_stable()
            filling.unlink()
            standing = await canary.until_recorded()
            assert standing.state is LeaseState.CARRIED_OUT
