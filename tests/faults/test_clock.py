"""The wall clock jumps by an hour in the middle of a bake."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.clock_up import FAKETIME
from tests.faults.ending import assert_ended
from tests.whole.platform import Json, Platform, Shop, finished

BAKE = timedelta(seconds=6)


@pytest.fixture(scope="module")
def offset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says how far the clock is off."""
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text("+0")
    return file


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path, offset: Path) -> Iterator[Platform]:
    command = (sys.executable, "-m", "tests.faults.clock_up", str(offset))
    jumping = Platform(tmp_path_factory.mktemp("jumping"), up_command=command)
    try:
        jumping.start()
        yield jumping
    finally:
        jumping.end()


@pytest.mark.full
@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime; Debian's package faketime has it")
@pytest.mark.parametrize(
    ("jump", "version", "outcome"),
    [("+1h", "v2", "promoted"), pytest.param("-1h", "v3", "rolled_back", marks=pytest.mark.full)],
)
def test_a_clock_that_jumps_by_an_hour_neither_ends_nor_prolongs_a_bake(
    platform: Platform, offset: Path, jump: str, version: str, outcome: str
) -> None:
    """Workers, keeper and the services' instances see the jump. The Temporal server does not, as a Go program asks the
    kernel by itself; nor does Envoy, which does not start under libfaketime. The bad version meets its users only
    after the jump, so that it is judged on the new clock.
    """
    offset.write_text("+0")
    bake = f"{BAKE.seconds}s" if outcome == "promoted" else "60s"
    strategy = {"steps": [{"weight": "50%", "bake": bake}], "lease": "6s"}
    shop = platform.shop(instances=1, min_requests=10, strategy=strategy)
    platform.deploy(shop, "v1")
    with platform.deploying(shop, version) as deploying:
        platform.until_weight(shop, "50%")
        offset.write_text(jump)
        with platform.traffic(shop, rate=20):
            code, result = finished(deploying)
    state = platform.state(shop)

    assert code == int(outcome != "promoted")
    assert_ended(platform, shop, result, outcome)
    assert not [entry for entry in state["timeline"] if "was off the traffic" in entry["text"]], "the lease lapsed"
    assert timedelta(minutes=55) < seen_by_the_worker(platform, shop) < timedelta(minutes=65), "the jump was not seen"
    if outcome == "promoted":
        assert BAKE <= baked(state) <= BAKE + timedelta(seconds=20)


def seen_by_the_worker(platform: Platform, shop: Shop) -> timedelta:
    """How far the clock of who settled the lease is off, by when it says that it did."""
    lease = json.loads((platform.home / "keeper" / "leases" / f"weight%2Flocal%2F{shop.name}.json").read_text())
    return abs(datetime.fromisoformat(lease["settled_at"]) - datetime.now(UTC))


def baked(state: Json) -> timedelta:
    """From the weight to the promotion, on the Temporal server's clock."""
    at = {entry["text"]: datetime.fromisoformat(entry["at"]) for entry in state["timeline"]}
    return at["v2 is promoted"] - at["v2 receives 50%"]
