"""A version is judged beside the stable one: by evidence, with proof, and after its promotion, too."""

import json

import pytest

from tests.whole.platform import Json, Platform, Shop, finished, until

LENIENT = [{"metric": "error_rate", "at_most": "90%"}]


def test_a_version_that_keeps_every_rule_and_is_worse_is_rolled_back_with_the_numbers(platform: Platform) -> None:
    shop = platform.shop(steps=[{"weight": "50%", "bake": "2m"}], rules=LENIENT)
    platform.deploy(shop, "v1")
    with platform.traffic(shop):
        result = platform.deploy(shop, "v3", expect=1)

    assert result["outcome"] == "rolled_back"
    assert "v3 fails in" in result["reason"]
    assert "100 is needed" in result["reason"]
    assert platform.instances(shop.name) == {"v1": 2}


def test_evidence_is_seen_to_grow_and_its_picture_is_drawn(platform: Platform) -> None:
    shop = platform.shop(steps=[{"weight": "50%", "bake": "4s"}])
    platform.deploy(shop, "v1")
    with platform.traffic(shop):
        run = platform.run("deploy", shop.name, "v2", "--wait", "--catalog", str(shop.catalog))

    assert run.returncode == 0, run.stdout + run.stderr
    assert "neither v2 nor v1 fails" in run.stdout
    assert "evidence: worse" in run.stdout
    assert run.stdout.count("Picture: ") == 2
    drawn = json.loads(platform.order("picture", shop, "--json", "--out", str(platform.folder)).stdout)
    assert drawn["samples"] >= 3
    assert all(path.startswith(str(platform.folder)) for path in drawn["pictures"])


@pytest.mark.full
def test_a_version_whose_instances_end_is_rolled_back_though_nobody_sends_a_request(platform: Platform) -> None:
    shop = platform.shop(steps=[{"weight": "50%", "bake": "2m"}])
    platform.deploy(shop, "v1")
    with platform.deploying(shop, "v2") as deploying:
        until(lambda: _seen(platform, shop) == 2, "the watch to see the instances", within=60)
        platform.kill_instances(shop, "v2")
        code, result = finished(deploying)

    assert (code, result["outcome"]) == (1, "rolled_back")
    assert result["reason"].startswith("v2 is unhealthy: 2 instances of v2 ended by themselves within 10m")
    assert platform.instances(shop.name) == {"v1": 2}


@pytest.mark.full
def test_a_rollout_of_one_artefact_under_two_names_is_learnt_from(platform: Platform) -> None:
    shop = platform.shop(steps=[{"weight": "50%", "bake": "4s"}])
    platform.deploy(shop, "v1")
    with platform.traffic(shop):
        platform.deploy(shop, "v2")
    (newest, _) = json.loads(platform.order("history", shop, "--json").stdout)["rollouts"]

    words = ("--rollout", newest["run_id"][:13], "--json", "--catalog", str(shop.catalog))
    run = platform.run("judge", "noise", shop.name, *words)

    assert run.returncode == 0, run.stdout + run.stderr
    learnt = json.loads(run.stdout)
    assert learnt["periods"][0].startswith("v2 beside v1 on ")
    assert learnt["requests"] > 20
    assert learnt["noise"] is None
    assert "noise is not learnt from fewer than 30" in learnt["doubts"][0]


@pytest.mark.full
def test_without_proof_in_time_a_person_is_asked(platform: Platform) -> None:
    shop = platform.shop(steps=[{"weight": "50%", "bake": "1s"}], compare={"proof": True}, patience="2s")
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as deploying:
        until(lambda: platform.state(shop).get("phase") == "awaiting_approval", "a person to be asked", within=60)
        question = platform.state(shop)["question"]
        assert platform.order("approve", shop).returncode == 0
        deploying.wait(60)

    assert "more requests are needed to call it good enough" in question
    assert deploying.returncode == 0


@pytest.mark.full
def test_a_version_that_turns_bad_after_its_promotion_makes_way_for_the_one_before(platform: Platform) -> None:
    strategy = {"steps": [{"weight": "50%", "bake": "5s"}], "scale_down_delay": "5m"}
    shop = platform.shop(strategy=strategy)
    platform.deploy(shop, "v1")
    with platform.traffic(shop):
        promoted = platform.deploy(shop, "v6")  # crashes after half a minute
        until(lambda: _ended_as(platform, shop, "v1"), "the way back", within=120)
    history: list[Json] = json.loads(platform.order("history", shop, "--json").stdout)["rollouts"]

    assert promoted["outcome"] == "promoted"
    assert platform.instances(shop.name) == {"v1": 2}
    assert [each["version"] for each in history] == ["v1", "v6", "v1"]


def _seen(platform: Platform, shop: Shop) -> int:
    progress = json.loads(platform.order("status", shop, "--json").stdout)["progress"]
    return len(progress["crashes"]["candidate"]) if progress else 0


def _ended_as(platform: Platform, shop: Shop, version: str) -> bool:
    state = platform.state(shop)
    return bool(state) and state["version"] == version and state["phase"] == "promoted"
