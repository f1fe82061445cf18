"""The disk that holds the platform's home is full: in the middle of a canary, and from before a deployment."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.ending import assert_ended, split_of
from tests.small_disk import fill, small_disk
from tests.whole.platform import Platform, Shop, until

ENDED = {"promoted", "rolled_back", "failed"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Platform]:
    """A whole stack whose home is a small disk of its own."""
    small = Platform(tmp_path_factory.mktemp("small"))
    with small_disk(small.home, "48m"):
        try:
            small.start()
            yield small
        finally:
            small.end()


def a_shop(platform: Platform, bake: str = "8s") -> Shop:
    return platform.shop(instances=1, strategy={"steps": [{"weight": "50%", "bake": bake}], "lease": "6s"})


def begin(platform: Platform, shop: Shop, version: str) -> int:
    return platform.run("deploy", shop.name, version, "--catalog", str(shop.catalog)).returncode


def until_ended(platform: Platform, shop: Shop, version: str) -> dict[str, object]:
    until(lambda: _ended(platform, shop, version), f"{shop.name} {version} to end", within=120)
    state = platform.state(shop)
    return {**state, "outcome": state["phase"], "stable": "v2" if state["phase"] == "promoted" else "v1"}


def _ended(platform: Platform, shop: Shop, version: str) -> bool:
    state = platform.state(shop)
    return state.get("version") == version and state["phase"] in ENDED


def test_a_disk_that_fills_up_in_the_middle_of_a_canary_and_has_room_again(platform: Platform) -> None:
    """No lease can be renewed, so the keeper takes both candidates off. Once there is room, be it the little that the
    keeper had held back for that, the rollouts give them their share again and go on.
    """
    versions = {a_shop(platform, bake): version for version, bake in (("v2", "8s"), ("v3", "60s"))}
    for shop in versions:
        platform.deploy(shop, "v1")
    for shop, version in versions.items():
        assert begin(platform, shop, version) == 0
    until(lambda: all(split_of(platform, shop)[1] for shop in versions), "both to have traffic")
    filling = fill(platform.home)
    until(lambda: all(taken_off(platform, shop) for shop in versions), "the keeper to take both off")
    with ExitStack() as stack:
        for shop in versions:
            stack.enter_context(platform.traffic(shop, rate=20))
        filling.unlink()
        ended = {shop: until_ended(platform, shop, version) for shop, version in versions.items()}

    for shop, version in versions.items():
        assert_ended(platform, shop, ended[shop], "promoted" if version == "v2" else "rolled_back")
        assert "was off the traffic" in str(ended[shop]["timeline"])


def taken_off(platform: Platform, shop: Shop) -> bool:
    return f"Carried out weight/local/{shop.name}" in platform.log.read_text()


@pytest.mark.full
def test_a_disk_that_is_full_before_a_deployment_changes_nothing_until_it_has_room(platform: Platform) -> None:
    shop = a_shop(platform)
    platform.deploy(shop, "v1")
    filling = fill(platform.home)
    with platform.traffic(shop, rate=20) as report:
        code = begin(platform, shop, "v2")
        while_full = platform.instances(shop.name), split_of(platform, shop)
        filling.unlink()
        if code:
            until(lambda: begin(platform, shop, "v2") == 0, "the deployment to be taken", within=60)
        ended = until_ended(platform, shop, "v2")
        users = report()

    assert while_full == ({"v1": 1}, ("v1", None))
    assert users["failed"] == 0
    assert_ended(platform, shop, ended, "promoted")
