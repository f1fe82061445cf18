"""Whatever is killed in the middle of a canary, it ends right."""

import pytest

from tests.whole.platform import Platform, finished, until

PARTS = {
    "the worker that decides": ("worker", "rollouts"),
    "the worker that watches": ("worker", "traffic"),
    "the worker that deploys": ("worker", "deploys"),
    "the Temporal server": ("start-dev",),
    "Envoy": ("bootstrap.json",),
    "the keeper": ("-m keeper",),
}


def parts(*always: str) -> list[object]:
    """Those that are always killed; the others where everything is tested."""
    return [pytest.param(part, marks=() if part in always else pytest.mark.full) for part in PARTS]


@pytest.mark.parametrize("part", parts("the worker that watches"))
def test_a_good_version_is_promoted_although_this_dies(platform: Platform, part: str) -> None:
    shop = platform.shop(bake="10s")  # on a busy machine a look at its weight takes seconds
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report, platform.deploying(shop, "v2") as deploying:
        platform.until_weight(shop, "10%")
        platform.kill(*PARTS[part])
        code, result = finished(deploying)
        users = report()

    assert code == 0
    assert result["outcome"] == "promoted"
    assert platform.instances(shop.name) == {"v2": 2}
    if part != "Envoy":
        assert users["failed"] == 0


@pytest.mark.parametrize("part", parts("the Temporal server", "the keeper"))
def test_a_bad_version_is_taken_back_although_this_dies(platform: Platform, part: str) -> None:
    shop = platform.shop(bake="30s")
    platform.deploy(shop, "v1")
    with platform.deploying(shop, "v3") as deploying:
        # Users come when it has its traffic: on a busy machine it could be judged between two looks at its weight.
        platform.until_weight(shop, "10%")
        with platform.traffic(shop):
            platform.kill(*PARTS[part])
            code, result = finished(deploying)

    assert code == 1
    assert result["outcome"] == "rolled_back"
    assert platform.instances(shop.name) == {"v1": 2}
    assert platform.state(shop)["weight"] == "0%"


@pytest.mark.full
def test_everything_stopped_in_the_middle_goes_on_with_the_next_up(own_platform: Platform) -> None:
    own_platform.start()
    shop = own_platform.shop(bake="20s")
    own_platform.deploy(shop, "v1")
    started = own_platform.run("deploy", shop.name, "v2", "--catalog", str(shop.catalog))
    own_platform.until_weight(shop, "10%")

    code = own_platform.stop()
    left_behind = own_platform.processes()
    own_platform.start()
    with own_platform.traffic(shop) as report:
        until(lambda: own_platform.state(shop).get("phase") == "promoted", "the rollout to go on", within=90)
        users = report()

    assert started.returncode == 0
    assert code == 0
    assert left_behind == []
    assert users["failed"] == 0
    assert own_platform.instances(shop.name) == {"v2": 2}
    assert own_platform.stop() == 0
    assert own_platform.processes() == []


@pytest.mark.parametrize(
    ("version", "alive"), [pytest.param("v2", {"v2": 2}, marks=pytest.mark.full), ("v3", {"v1": 2})]
)
def test_everything_killed_at_once_goes_on_with_the_next_up(
    own_platform: Platform, version: str, alive: dict[str, int]
) -> None:
    own_platform.start()
    shop = own_platform.shop(bake="15s")
    own_platform.deploy(shop, "v1")
    own_platform.run("deploy", shop.name, version, "--catalog", str(shop.catalog))
    own_platform.until_weight(shop, "10%")

    own_platform.kill_everything()
    survivors = own_platform.instances(shop.name)
    own_platform.start()
    with own_platform.traffic(shop):
        ended = {"promoted", "rolled_back"}
        until(lambda: own_platform.state(shop).get("phase") in ended, "the rollout to end", within=90)

    assert survivors == {"v1": 2, version: 2}
    assert own_platform.state(shop)["phase"] == ("promoted" if version == "v2" else "rolled_back")
    assert own_platform.instances(shop.name) == alive
