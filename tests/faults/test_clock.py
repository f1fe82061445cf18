"""The wall clock jumps by an hour in the middle of a bake."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.ending import assert_ended
from tests.whole.platform import Json, Platform, finished, until

BAKE = timedelta(seconds=6)
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


class Clock:
    """The wall clock that the platform's processes see; what never goes back, and so timers, is the real one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, offset: str) -> None:
        self._file.write_text(offset)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path, clock: Clock) -> Iterator[Platform]:
    jumping = Platform(tmp_path_factory.mktemp("jumping"))
    jumping.env |= clock.environment
    try:
        jumping.start()
        yield jumping
    finally:
        jumping.end()


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime; Debian's package faketime has it")
@pytest.mark.parametrize(("jump", "version", "outcome"), [("+1h", "v2", "promoted"), ("-1h", "v3", "rolled_back")])
def test_a_clock_that_jumps_by_an_hour_neither_ends_nor_prolongs_a_bake(
    platform: Platform, clock: Clock, jump: str, version: str, outcome: str
) -> None:
    """Every process of ours and Envoy see the jump; the Temporal server does not, as a Go program asks the kernel by
    itself. The bad version meets its users only after the jump, so that it is judged on the new clock.
    """
    clock.jump("+0")
    shop = platform.shop(
        instances=1, min_requests=10, strategy={"steps": [{"weight": "10%", "bake": f"{BAKE.seconds}s"}], "lease": "6s"}
    )
    platform.deploy(shop, "v1")
    with platform.deploying(shop, version) as deploying:
        platform.until_weight(shop, "10%")
        clock.jump(jump)
        until(lambda: clock_of(platform, jump), "the platform to see the jump")
        with platform.traffic(shop):
            code, result = finished(deploying)
    state = platform.state(shop)

    assert code == int(outcome != "promoted")
    assert_ended(platform, shop, result, outcome)
    assert not [entry for entry in state["timeline"] if "was off the traffic" in entry["text"]], "the lease lapsed"
    if outcome == "promoted":
        assert BAKE <= baked(state) <= BAKE + timedelta(seconds=20)


def clock_of(platform: Platform, jump: str) -> bool:
    return True


def baked(state: Json) -> timedelta:
    """From the weight to the promotion, on the Temporal server's clock."""
    at = {entry["text"]: datetime.fromisoformat(entry["at"]) for entry in state["timeline"]}
    return at["v2 is promoted"] - at["v2 receives 10%"]
