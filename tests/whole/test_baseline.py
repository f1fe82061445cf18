"""A canary that is compared with a baseline, on a whole stack."""

import asyncio
import json

import httpx
import pytest
from temporalio.client import Client

from models.ids import ServiceRef
from runtime.plugin import holdfast_plugin
from starters.handles import rollout_of
from tests.whole.platform import Platform, Shop, until

BASELINE = {"against": "baseline", "proof": False}
ALL_TO_V1 = {"stable": "v1", "candidate": None, "weight": "0%", "baseline": None}
STEPS = [{"weight": "10%", "bake": "4s"}, {"weight": "50%", "bake": "4s"}]


def test_a_good_version_is_promoted_beside_fresh_instances_of_the_stable_one(platform: Platform) -> None:
    shop = platform.shop(steps=STEPS, compare=BASELINE)
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        run = platform.run("deploy", shop.name, "v2", "--wait", "--catalog", str(shop.catalog))
        users = report()

    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 fresh instances of v1 are ready; v2 is compared with them" in run.stdout
    assert "the baseline of v1 receives 50%" in run.stdout
    assert "neither v2 nor the baseline of v1 fails" in run.stdout
    assert users["failed"] == 0
    assert platform.instances(shop.name) == {"v2": 2}
    assert platform.starts(shop.name) == {"v1": 2, "v1~baseline": 2, "v2": 2}
    assert "compared with 2 fresh instances of v1" in platform.order("status", shop).stdout


@pytest.mark.full
def test_a_bad_version_is_taken_back_and_its_baseline_with_it(platform: Platform) -> None:
    shop = platform.shop(steps=STEPS, compare=BASELINE, rules=[{"metric": "error_rate", "at_most": "90%"}])
    platform.deploy(shop, "v1")
    with platform.traffic(shop):
        result = platform.deploy(shop, "v3", expect=1)
    drawn = json.loads(platform.order("picture", shop, "--json", "--out", str(platform.folder)).stdout)

    assert "the baseline of v1" in result["reason"]
    assert "100 is needed" in result["reason"]
    assert platform.instances(shop.name) == {"v1": 2}
    assert split_of(platform, shop) == ALL_TO_V1
    assert drawn["samples"] >= 3


@pytest.mark.full
def test_a_version_that_is_bad_only_while_it_is_cold_passes_beside_a_baseline_and_not_otherwise(
    platform: Platform,
) -> None:
    steps, lenient = [{"weight": "50%", "bake": "10s"}], [{"metric": "error_rate", "at_most": "90%"}]
    warm = platform.shop(steps=steps, rules=lenient)
    fresh = platform.shop(steps=steps, rules=lenient, compare=BASELINE)
    for shop in (warm, fresh):
        platform.deploy(shop, "v10")
    until(lambda: all(is_warm(shop) for shop in (warm, fresh)), "both to be warm", within=60)
    with platform.traffic(warm):
        beside_stable = platform.deploy(warm, "v11", expect=1)
    with platform.traffic(fresh):
        beside_baseline = platform.deploy(fresh, "v11")

    assert "v11 fails in" in beside_stable["reason"]
    assert "v10 never" in beside_stable["reason"]
    assert beside_baseline["outcome"] == "promoted"


def is_warm(shop: Shop) -> bool:
    """Customers of a cold one would meet an error in 40 calls, but for once in 7,000 times."""
    with httpx.Client(base_url=shop.url, trust_env=False) as customer:
        return all(customer.get("/").is_success for _ in range(40))


@pytest.mark.full
def test_what_a_rollout_ended_by_force_left_is_cleared_away_and_the_weight_is_taken_back(platform: Platform) -> None:
    strategy = {"steps": [{"weight": "10%", "bake": "10m"}], "lease": "5s"}
    shop = platform.shop(strategy=strategy, compare=BASELINE)
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2"):
        platform.until_weight(shop, "10%")
        beside = split_of(platform, shop)
        asyncio.run(terminate(platform, shop))
        until(lambda: split_of(platform, shop)["baseline"] is None, "the keeper to take both off the traffic")
        left = platform.instances(shop.name)
        cleared = platform.deploy(shop, "v1")

    assert (beside["weight"], beside["baseline"]) == ("10%", "10%")
    assert split_of(platform, shop) == ALL_TO_V1
    assert left == {"v1": 4, "v2": 2}
    assert cleared["outcome"] == "unchanged"
    assert platform.instances(shop.name) == {"v1": 2}
    assert platform.starts(shop.name)["v1"] == 2


async def terminate(platform: Platform, shop: Shop) -> None:
    client = await Client.connect(platform.record["temporal"], plugins=[holdfast_plugin()])
    await rollout_of(client, ServiceRef(environment="local", service=shop.name)).terminate("by hand")


def split_of(platform: Platform, shop: Shop) -> dict[str, object]:
    record = json.loads((platform.home / "envoy" / "services" / f"local.{shop.name}.json").read_text())
    split: dict[str, object] = record["split"]
    return split
