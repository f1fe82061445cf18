"""Providers that take 30 s for a call, and providers of which every other call fails."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.faults.ending import assert_ended
from tests.faults.plan import FaultFolder, Faults
from tests.whole.platform import Json, Platform, Shop, finished, until

SLOW = 30.0


class Case(NamedTuple):
    version: str
    slow: tuple[str, ...]
    outcome: str


SLOWNESS = {
    "reads": Case("v2", ("traffic.current",), "promoted"),
    "starts": Case("v2", ("deploy.start", "deploy.stop"), "promoted"),
    "weights": Case("v2", ("traffic.apply",), "promoted"),
    "weights of a bad version": Case("v3", ("traffic.apply",), "rolled_back"),
    "metrics": Case("v2", ("metrics.snapshot",), "promoted"),
    "metrics of a bad version": Case("v3", ("metrics.snapshot",), "rolled_back"),
}


BAKES = {"v2": "2s", "v3": "60s"}
"""A bad version is taken back as soon as it shows; how many of its first requests fail is a matter of chance."""


def with_stable(platform: Platform, versions: Sequence[str]) -> list[Shop]:
    """A shop that serves v1 for each version that is to come, deployed side by side."""
    shops = [platform.shop(steps=[{"weight": "50%", "bake": BAKES[each]}], instances=1) for each in versions]
    with ExitStack() as stack:
        for each in [stack.enter_context(platform.deploying(shop, "v1")) for shop in shops]:
            code, _ = finished(each)
            assert code == 0
    return shops


def rolled_out(platform: Platform, versions: dict[Shop, str]) -> dict[Shop, Json]:
    """Every shop's version rolled out under traffic, side by side; how each ended."""
    results = {}
    with ExitStack() as stack:
        for shop in versions:
            stack.enter_context(platform.traffic(shop, rate=15))
        under_way = {shop: stack.enter_context(platform.deploying(shop, version)) for shop, version in versions.items()}
        for shop, deploying in under_way.items():
            code, results[shop] = finished(deploying, within=150)
            assert code == int(results[shop]["outcome"] != "promoted")
    return results


@pytest.mark.full
def test_a_call_of_30_s_changes_nothing_of_the_end(faulty_platform: Platform, folder: FaultFolder) -> None:
    """Six services side by side, as each has calls of 30 s of its own."""
    shops = with_stable(faulty_platform, [case.version for case in SLOWNESS.values()])
    cases = dict(zip(shops, SLOWNESS.values(), strict=True))
    folder.plan({shop.name: Faults(slow=dict.fromkeys(case.slow, SLOW)) for shop, case in cases.items()})

    results = rolled_out(faulty_platform, {shop: case.version for shop, case in cases.items()})

    for shop, case in cases.items():
        assert set(folder.met(shop.name)) == set(case.slow)
        assert_ended(faulty_platform, shop, results[shop], case.outcome)


@pytest.mark.full
def test_an_abort_does_not_wait_for_a_call_of_30_s(faulty_platform: Platform, folder: FaultFolder) -> None:
    slow = ("deploy.start", "traffic.apply", "metrics.snapshot")
    shops = dict(zip(with_stable(faulty_platform, ["v2"] * len(slow)), slow, strict=True))
    folder.plan({shop.name: Faults(slow={call: SLOW}) for shop, call in shops.items()})
    with ExitStack() as stack:
        under_way = {shop: stack.enter_context(faulty_platform.deploying(shop, "v2")) for shop in shops}
        until(lambda: all(folder.met(shop.name) for shop in shops), "every slow call to be under way", within=60)
        folder.plan({})
        aborted_at = time.monotonic()
        orders = [faulty_platform.order("abort", shop) for shop in shops]
        ended = {shop: finished(deploying) for shop, deploying in under_way.items()}
        took = time.monotonic() - aborted_at

    assert [order.returncode for order in orders] == [0, 0, 0]
    assert took < SLOW - 5
    for shop, (code, result) in ended.items():
        assert code == 1
        assert "aborted by" in result["reason"]
        assert_ended(faulty_platform, shop, result, "rolled_back")


def test_every_other_call_failing_changes_nothing_of_the_end(faulty_platform: Platform, folder: FaultFolder) -> None:
    versions = dict(zip(with_stable(faulty_platform, ("v2", "v3")), ("v2", "v3"), strict=True))
    folder.plan({shop.name: Faults(failing=0.5, seed=seed) for seed, shop in enumerate(versions)})

    results = rolled_out(faulty_platform, versions)

    for shop, version in versions.items():
        assert folder.met(shop.name).total() >= 5
        assert_ended(faulty_platform, shop, results[shop], "promoted" if version == "v2" else "rolled_back")
