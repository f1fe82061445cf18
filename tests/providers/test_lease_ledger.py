"""The ledger: who may arm, renew and settle, and what is left after crashes, races and a full disk."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from models.ids import ServiceRef, weight_lease
from models.keeper import Holder, HostTime, LeaseState
from models.keeper_ledger import Lease, LeaseRecord, ReturnTraffic
from models.traffic import Backend, EnvoyTraffic, TrafficSplit
from providers.errors import ProviderError
from providers.lease_ledger import AlreadyKeptError, LeaseLedger, LeaseRefusedError
from tests.factories import SHOP, WHEN
from tests.small_disk import fill, small_disk

KEY = weight_lease(SHOP)
HELD, CARRIED_OUT, GONE, OTHERS = LeaseState.HELD, LeaseState.CARRIED_OUT, LeaseState.GONE, LeaseState.OTHERS


@dataclass
class Clocks:
    """The host's clock and the wall's, which tests move apart."""

    now: HostTime = field(default_factory=lambda: HostTime(boot="this", seconds=1000.0))

    def host(self) -> HostTime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now = self.now.later(timedelta(seconds=seconds))


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def ledger(tmp_path: Path, clocks: Clocks) -> Iterator[LeaseLedger]:
    """A ledger that a keeper serves, who does nothing by himself."""
    ledger = LeaseLedger(tmp_path / "keeper", clock=clocks.host, wall=lambda: WHEN)
    with ledger.serving():
        yield ledger


def a_lease(epoch: int = 1, run: str = "run-1", workflow: str = "rollout/local/shop", ref: ServiceRef = SHOP) -> Lease:
    backend = Backend(version="v1", addresses=("127.0.0.1:2000",))
    spec = EnvoyTraffic(listen="127.0.0.1:2001")
    undo = ReturnTraffic(ref=ref, spec=spec, split=TrafficSplit(stable="v1"), backends=(backend,))
    holder = Holder(workflow_id=workflow, run_id=run)
    return Lease(key=weight_lease(ref), holder=holder, epoch=epoch, duration=timedelta(seconds=30), undo=undo)


async def the_record(ledger: LeaseLedger) -> LeaseRecord:
    ((record,), _) = await ledger.entries()
    return record


async def lapse(ledger: LeaseLedger, *, carried_out: bool = True) -> None:
    """What the keeper writes."""
    async with ledger.acting(KEY) as record:
        assert record
        times = {"lapsed_at": WHEN, "carried_out_at": WHEN if carried_out else None}
        await ledger.write(record.model_copy(update=times))


async def test_a_renewal_puts_the_deadline_off_by_the_duration(ledger: LeaseLedger, clocks: Clocks) -> None:
    armed = await ledger.arm(a_lease())
    clocks.passes(20)
    renewed = await ledger.renew(a_lease().name())

    assert (armed.state, renewed.state) == (HELD, HELD)
    assert (await the_record(ledger)).deadline.seconds == 1050


async def test_arming_again_is_as_good_as_a_renewal(ledger: LeaseLedger, clocks: Clocks) -> None:
    await ledger.arm(a_lease())
    clocks.passes(20)

    assert (await ledger.arm(a_lease())).state is HELD
    assert (await the_record(ledger)).deadline.seconds == 1050


async def test_a_past_epoch_is_refused_and_a_later_one_taken(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease(epoch=2))

    with pytest.raises(LeaseRefusedError, match="epoch 2 came after it") as refusal:
        await ledger.arm(a_lease(epoch=1))
    assert not refusal.value.retryable
    assert (await ledger.renew(a_lease(epoch=1).name())).state is OTHERS
    assert (await ledger.settle(a_lease(epoch=1).name())).state is OTHERS
    assert (await ledger.arm(a_lease(epoch=3))).state is HELD


async def test_what_lapsed_is_told_with_its_times_and_not_armed_again_but_by_a_later_epoch(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger)

    for answer in (await ledger.renew(a_lease().name()), await ledger.arm(a_lease())):
        assert (answer.state, answer.lapsed_at, answer.carried_out_at) == (CARRIED_OUT, WHEN, WHEN)
    assert (await ledger.arm(a_lease(epoch=2))).state is HELD
    assert (await ledger.renew(a_lease(epoch=2).name())).state is HELD
    assert (await the_record(ledger)).lapsed_at is None


async def test_a_later_epoch_is_told_however_often_that_the_one_before_it_had_lapsed(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger)

    answers = [await ledger.arm(a_lease(epoch=2)) for _ in range(2)]
    assert [(answer.state, answer.lapsed_before) for answer in answers] == [(HELD, WHEN), (HELD, WHEN)]
    assert (await ledger.arm(a_lease(epoch=3))).lapsed_before is None


async def test_what_became_of_a_settled_lease_or_of_another_runs_is_told_to_nobody_later(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger)
    await ledger.settle(a_lease().name())

    assert (await ledger.arm(a_lease(epoch=2))).lapsed_before is None
    await lapse(ledger)
    assert (await ledger.arm(a_lease(run="run-2"))).lapsed_before is None


async def test_settling_tells_the_same_however_often(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger)

    answers = [await ledger.settle(a_lease().name()) for _ in range(2)]

    assert [answer.state for answer in answers] == [CARRIED_OUT, CARRIED_OUT]
    assert (await the_record(ledger)).settled_at


async def test_what_was_settled_is_neither_renewed_nor_armed_by_a_late_call(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())

    assert (await ledger.settle(a_lease().name())).state is GONE
    assert (await ledger.renew(a_lease().name())).state is GONE
    with pytest.raises(LeaseRefusedError, match="was settled already"):
        await ledger.arm(a_lease())


async def test_what_is_settled_before_it_was_armed_is_not_armed_any_more(ledger: LeaseLedger) -> None:
    """As when the worker that was to arm it stalled, and the rollout went back without it."""
    assert (await ledger.settle(a_lease().name())).state is GONE

    with pytest.raises(LeaseRefusedError, match="was settled already"):
        await ledger.arm(a_lease())


async def test_settling_the_step_that_did_not_come_about_settles_the_one_before(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease(epoch=1))
    await ledger.settle(a_lease(epoch=2).name())

    assert (await the_record(ledger)).settled_at
    with pytest.raises(LeaseRefusedError):
        await ledger.arm(a_lease(epoch=2))


async def test_a_later_run_takes_over_and_the_earlier_does_not_get_it_back(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease(epoch=7))
    await ledger.arm(a_lease(run="run-2"))

    renewed = await ledger.renew(a_lease(epoch=7).name())
    assert (renewed.state, renewed.held_by) == (OTHERS, a_lease(run="run-2").holder)
    for take_over in (False, True):
        with pytest.raises(LeaseRefusedError, match="run run-2 took it over"):
            await ledger.arm(a_lease(epoch=8), take_over=take_over)
    assert (await ledger.settle(a_lease(epoch=7).name())).state is OTHERS
    assert (await ledger.renew(a_lease(run="run-2").name())).state is HELD


async def test_a_later_run_that_arms_nothing_settles_what_the_earlier_left_in_force(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger)

    assert (await ledger.settle(a_lease(run="run-2").name())).state is GONE
    assert (await the_record(ledger)).settled_at
    with pytest.raises(LeaseRefusedError):
        await ledger.arm(a_lease(epoch=2))


async def test_another_workflow_waits_until_the_lease_was_carried_out(ledger: LeaseLedger) -> None:
    other = a_lease(run="run-9", workflow="chaos/local/shop")
    await ledger.arm(a_lease())

    with pytest.raises(LeaseRefusedError, match="is held by rollout/local/shop, run run-1") as refusal:
        await ledger.arm(other)
    assert refusal.value.retryable
    assert (await ledger.settle(other.name())).state is OTHERS
    await lapse(ledger, carried_out=False)
    with pytest.raises(LeaseRefusedError):
        await ledger.arm(other)
    await lapse(ledger)
    assert (await ledger.arm(other)).state is HELD


async def test_another_workflow_may_be_told_to_take_over(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())

    taken = await ledger.arm(a_lease(run="run-9", workflow="chaos/local/shop"), take_over=True)

    assert taken.state is HELD


async def test_nothing_is_armed_while_there_is_no_keeper(tmp_path: Path) -> None:
    ledger = LeaseLedger(tmp_path / "keeper")

    with pytest.raises(ProviderError, match=r"No keeper serves .*Start `holdfast keeper`") as refusal:
        await ledger.arm(a_lease())

    assert refusal.value.retryable
    assert await ledger.entries() == ((), ())


async def test_a_ledger_has_one_keeper(ledger: LeaseLedger, tmp_path: Path) -> None:
    with pytest.raises(AlreadyKeptError), LeaseLedger(tmp_path / "keeper").serving():
        pass


async def test_nobody_settles_while_the_keeper_carries_it_out(ledger: LeaseLedger) -> None:
    """Else its undo could come after what the rollout sets next."""
    await ledger.arm(a_lease())
    async with ledger.acting(KEY) as record:
        assert record
        settling = asyncio.create_task(ledger.settle(a_lease().name()))
        _, waiting = await asyncio.wait({settling}, timeout=0.3)
        assert waiting
        await ledger.write(record.model_copy(update={"lapsed_at": WHEN, "carried_out_at": WHEN}))

    assert (await settling).state is CARRIED_OUT


async def test_a_renewal_does_not_wait_for_the_keeper_that_carries_it_out(ledger: LeaseLedger) -> None:
    await ledger.arm(a_lease())
    await lapse(ledger, carried_out=False)
    async with ledger.acting(KEY):
        answer = await asyncio.wait_for(ledger.renew(a_lease().name()), 2)

    assert (answer.state, answer.carried_out_at) == (CARRIED_OUT, None)


@pytest.mark.parametrize("content", ["", '{"lease": {"key": "weight/loc', "[]", '{"lease": null}'])
async def test_a_damaged_file_is_named_and_hides_no_other(ledger: LeaseLedger, tmp_path: Path, content: str) -> None:
    await ledger.arm(a_lease())
    cart = ServiceRef(environment="local", service="cart")
    await ledger.arm(a_lease(ref=cart))
    (path,) = (tmp_path / "keeper" / "leases").glob("*shop.json")
    path.write_text(content)

    records, damaged = await ledger.entries()

    assert [record.lease.key for record in records] == [weight_lease(cart)]
    (sentence,) = damaged
    assert "does not hold the lease weight/local/shop any more" in sentence
    assert (await ledger.renew(a_lease().name())).state is GONE
    assert (await ledger.arm(a_lease())).state is HELD


async def test_a_write_that_was_cut_off_leaves_the_lease_as_it_was(ledger: LeaseLedger, tmp_path: Path) -> None:
    await ledger.arm(a_lease())
    (path,) = (tmp_path / "keeper" / "leases").glob("*.json")
    path.with_name(path.name + ".tmp").write_text('{"lea')

    assert (await ledger.renew(a_lease().name())).state is HELD
    assert (await ledger.entries()).damaged == ()


RENEWER = """
import asyncio, sys
from pathlib import Path
from models.keeper_ledger import Lease
from providers.lease_ledger import LeaseLedger

async def main() -> None:
    ledger, lease = LeaseLedger(Path(sys.argv[1])), Lease.model_validate_json(sys.argv[2])
    for epoch in range(1, 41):
        own = lease.model_copy(update={"epoch": epoch})
        await ledger.arm(own)
        states = [(await ledger.renew(own.name())).state for _ in range(3)]
        print(epoch, *states, (await ledger.settle(own.name())).state)

asyncio.run(main())
"""


async def test_four_processes_at_once_each_keep_their_own_and_lose_nothing(tmp_path: Path) -> None:
    ledger = LeaseLedger(tmp_path / "keeper")
    refs = [ServiceRef(environment="local", service=f"shop-{number}") for number in range(4)]
    with ledger.serving():
        processes = [start_renewer(tmp_path, a_lease(ref=ref)) for ref in refs]
        said = await asyncio.gather(*(asyncio.to_thread(process.communicate, timeout=60) for process in processes))

    for (out, error), process in zip(said, processes, strict=True):
        assert process.returncode == 0, error
        assert out.splitlines() == [f"{epoch} held held held gone" for epoch in range(1, 41)]
    records, damaged = await ledger.entries()
    assert [record.lease.epoch for record in records] == [40] * 4
    assert damaged == ()


ONE_KEY = """
import asyncio, sys
from pathlib import Path
from models.keeper_ledger import Lease
from providers.lease_ledger import LeaseLedger, LeaseRefusedError

async def main() -> None:
    ledger, lease = LeaseLedger(Path(sys.argv[1])), Lease.model_validate_json(sys.argv[2])
    for epoch in range(1, 51):
        try:
            await ledger.arm(lease.model_copy(update={"epoch": epoch}))
        except LeaseRefusedError:
            continue
        print(epoch)

asyncio.run(main())
"""


async def test_of_four_processes_with_one_key_none_goes_back_to_an_earlier_epoch(tmp_path: Path) -> None:
    ledger = LeaseLedger(tmp_path / "keeper")
    with ledger.serving():
        processes = [start_renewer(tmp_path, a_lease(), ONE_KEY) for _ in range(4)]
        watched = [epoch async for epoch in epochs_seen(ledger, processes)]

    assert watched == sorted(watched)
    assert watched[-1] == 50
    assert all(process.wait() == 0 for process in processes)


async def epochs_seen(ledger: LeaseLedger, processes: "list[subprocess.Popen[str]]") -> AsyncIterator[int]:
    while True:
        ended = all(process.poll() is not None for process in processes)
        for record in (await ledger.entries()).records:
            yield record.lease.epoch
        if ended:
            return
        await asyncio.sleep(0.005)


def start_renewer(folder: Path, lease: Lease, program: str = RENEWER) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder / "keeper"), lease.model_dump_json()],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_on_a_full_disk_nothing_is_armed_and_a_renewal_leaves_the_deadline(
    tmp_path: Path, clocks: Clocks
) -> None:
    cart = a_lease(ref=ServiceRef(environment="local", service="cart"))
    with small_disk(tmp_path / "disk", "256k") as disk:
        ledger = LeaseLedger(disk / "keeper", clock=clocks.host)
        with ledger.serving():
            await the_disk_fills(ledger, clocks, disk, cart)


async def the_disk_fills(ledger: LeaseLedger, clocks: Clocks, disk: Path, cart: Lease) -> None:
    await ledger.arm(a_lease())
    filling = fill(disk)

    clocks.passes(10)
    for refused in (ledger.arm(cart), ledger.renew(a_lease().name()), ledger.settle(a_lease().name())):
        with pytest.raises(ProviderError, match="cannot be written: the disk is full") as failure:
            await refused
        assert failure.value.retryable
    assert (await the_record(ledger)).deadline.seconds == 1030
    filling.unlink()
    assert (await ledger.renew(a_lease().name())).state is HELD
    assert (await the_record(ledger)).deadline.seconds == 1040


async def test_the_file_reads_as_documented(ledger: LeaseLedger, tmp_path: Path) -> None:
    await ledger.arm(a_lease())

    content = json.loads((tmp_path / "keeper" / "leases" / "weight%2Flocal%2Fshop.json").read_text())

    assert content["lease"]["holder"] == {"workflow_id": "rollout/local/shop", "run_id": "run-1"}
    assert content["undo"]["kind"] == "return_traffic"
    assert content["deadline"] == {"boot": "this", "seconds": 1030.0}
