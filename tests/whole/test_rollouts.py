"""The main job, as a user meets it."""

import json
import re
from datetime import datetime

import pytest

from tests.whole.platform import Json, Platform, Shop, finished, until, words_of


def test_a_good_version_is_promoted_and_a_bad_one_taken_back_by_itself(platform: Platform) -> None:
    shop = platform.shop()
    first = platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        good = platform.deploy(shop, "v2")
        before = report()
        bad = platform.deploy(shop, "v3", expect=1)
        after = report()

    assert first["outcome"] == good["outcome"] == "promoted"
    assert bad["outcome"] == "rolled_back"
    assert bad["stable"] == "v2"
    assert re.search("v3 fails in|error_rate", bad["reason"])  # whichever is sure first, the comparison or the rule
    exposed, decided, off = (datetime.fromisoformat(bad[at]) for at in ("exposed_at", "decided_at", "off_at"))
    # 10 % of 50 requests/s are the 20 requests that a judgement needs after 4 s; then there are 10 s.
    assert (off - exposed).total_seconds() < 4 + 10
    assert (off - decided).total_seconds() < 5
    assert before["failed"] == 0
    sent, failed = after["sent"] - before["sent"], after["failed"] - before["failed"]
    assert failed <= 0.2 * 0.5 * sent
    versions = {words[-1] for words in map(words_of, platform.processes()) if "examples.shop.server" in words}
    assert "v3" not in versions


@pytest.mark.full
def test_orders_reach_a_rollout_and_wrong_ones_are_refused(platform: Platform) -> None:
    shop = platform.shop(bake="60s")
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as deploying:
        platform.until_weight(shop, "10%")
        second = platform.run("deploy", shop.name, "v3", "--catalog", str(shop.catalog))
        resumed = platform.order("resume", shop)
        paused = platform.order("pause", shop, "--note", "lunch")
        promoted = platform.order("promote", shop, "--json")
        out, _ = deploying.communicate(timeout=60)

    assert second.returncode == 3
    assert "is under way (v2, progressing)" in second.stderr
    assert resumed.returncode == 3
    assert "it is not paused" in resumed.stderr
    assert paused.returncode == 0
    assert promoted.returncode == 0
    assert deploying.returncode == 0
    assert '"promoted"' in out
    timeline = [entry["text"] for entry in platform.state(shop)["timeline"]]
    assert any("lunch" in text for text in timeline)


def test_an_approval_is_waited_for_and_an_abort_takes_the_version_back(platform: Platform) -> None:
    shop = platform.shop(bake="1s", approval=True, min_requests=1)
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as deploying:
        platform.until_weight(shop, "10%")
        until(lambda: bool(platform.state(shop).get("question")), "the question")
        aborted = platform.order("abort", shop, "--note", "not today")
        out, _ = deploying.communicate(timeout=60)

    assert aborted.returncode == 0
    assert deploying.returncode == 1
    assert "not today" in out


def test_status_reads_well_while_and_after(platform: Platform) -> None:
    shop = platform.shop()
    platform.deploy(shop, "v1")

    one = platform.order("status", shop)
    every = platform.run("status", "--catalog", str(shop.catalog))
    again = platform.run("deploy", shop.name, "v1", "--wait", "--catalog", str(shop.catalog))

    assert one.returncode == every.returncode == again.returncode == 0
    assert f"canary {shop.name} v1 → local: promoted" in one.stdout
    assert "promote v1 to 100%" in one.stdout
    assert shop.name in every.stdout
    assert "there is nothing to do" in again.stdout


def test_blue_green_switches_all_traffic_and_back_without_losing_a_request(platform: Platform) -> None:
    shop = platform.shop(strategy={"strategy": "blue-green", "bake": "3s"})
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        good = platform.deploy(shop, "v2")
        users = report()
        bad = platform.deploy(shop, "v3", expect=1)

    assert good["outcome"] == "promoted"
    assert users["failed"] == 0
    assert bad["outcome"] == "rolled_back"
    assert platform.instances(shop.name) == {"v2": 2}


def test_rolling_replaces_instances_without_losing_a_request_and_gives_the_old_ones_back(platform: Platform) -> None:
    shop = platform.shop(strategy={"strategy": "rolling", "batch": 1, "bake": "2s"}, instances=3)
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        good = platform.deploy(shop, "v2")
        users = report()
        bad = platform.deploy(shop, "v3", expect=1)

    assert good["outcome"] == "promoted"
    assert users["failed"] == 0
    assert bad["outcome"] == "rolled_back"
    assert platform.instances(shop.name) == {"v2": 3}


@pytest.mark.full
def test_a_newer_version_supersedes_the_one_under_way_and_another_waits(platform: Platform) -> None:
    shop = platform.shop(bake="30s")
    fast = Shop(shop.name, platform.folder / f"{shop.name}-fast.yaml", shop.port)
    fast.catalog.write_text(shop.catalog.read_text().replace('"30s"', '"1s"'))
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as superseded:
        platform.until_weight(shop, "10%")
        newer = platform.run("deploy", shop.name, "v3", "--if-busy", "wait", "--catalog", str(shop.catalog))
        newest = platform.run(
            "deploy", shop.name, "v7", "--if-busy", "supersede", "--wait", "--json", "--catalog", str(fast.catalog)
        )
        code, older = finished(superseded)

    assert newer.returncode == 0
    assert "v3 comes next, once v2 is through" in newer.stdout
    assert "v7 comes next, instead of v3, once v2 is taken back" in newest.stderr
    assert newest.returncode == 0, newest.stderr
    assert json.loads(newest.stdout)["stable"] == "v7"
    assert (code, older["outcome"]) == (1, "rolled_back")
    assert "superseded by v7" in older["reason"]
    assert platform.instances(shop.name) == {"v7": 2}


@pytest.mark.full
def test_while_the_old_version_is_kept_the_way_back_is_short(platform: Platform) -> None:
    strategy = {"strategy": "blue-green", "bake": "1s", "scale_down_delay": "10m"}
    shop = platform.shop(strategy=strategy, min_requests=1)
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        promoted = platform.deploy(shop, "v2")
        kept = platform.instances(shop.name)
        back = platform.order("rollback", shop, "--to", "v1", "--wait", "--json")
        users = report()

    assert promoted["outcome"] == "promoted"
    assert kept == {"v1": 2, "v2": 2}
    assert json.loads(back.stdout)["stable"] == "v1"
    assert users["failed"] == 0
    started = [
        log.read_text().count("listens on") for log in (platform.home / "instances").rglob(f"{shop.name}/v1/*.log")
    ]
    assert started == [1, 1]


@pytest.mark.full
def test_a_rollback_leads_to_the_version_before_and_the_history_tells(platform: Platform) -> None:
    shop = platform.shop(strategy={"strategy": "blue-green", "bake": "1s"}, min_requests=1)
    nothing_before = platform.order("rollback", shop)
    platform.deploy(shop, "v1")
    with platform.traffic(shop) as report:
        platform.deploy(shop, "v2")
        until(lambda: len(history(platform, shop)) == 2, "both rollouts to be listed")
        back = platform.order("rollback", shop, "--wait", "--json")
        users = report()
    until(lambda: len(history(platform, shop)) == 3, "the rollback to be listed")
    again = platform.order("rollback", shop)
    named = platform.order("rollback", shop, "--to", "v2", "--wait")

    assert nothing_before.returncode == 3
    assert "--to VERSION" in nothing_before.stderr
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["version"] == "v1"
    assert users["failed"] == 0
    assert again.returncode == 3
    assert "Promoted once, and gone back from since: v2." in again.stderr
    assert [rollout["version"] for rollout in history(platform, shop)][-3:] == ["v1", "v2", "v1"]
    assert named.returncode == 0
    assert platform.instances(shop.name) == {"v2": 2}
    assert "promoted" in platform.order("history", shop).stdout


@pytest.mark.full
def test_a_rollback_in_the_middle_of_a_rollout_leads_to_the_version_that_it_would_replace(platform: Platform) -> None:
    shop = platform.shop(bake="30s")
    platform.deploy(shop, "v1")
    with platform.traffic(shop), platform.deploying(shop, "v2") as canary:
        platform.until_weight(shop, "10%")
        refused = platform.order("rollback", shop)
        back = platform.order("rollback", shop, "--if-busy", "supersede", "--wait", "--json")
        code, older = finished(canary)

    assert refused.returncode == 3
    assert "holdfast abort" in refused.stderr
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["outcome"] == "unchanged"
    assert json.loads(back.stdout)["stable"] == "v1"
    assert (code, older["outcome"]) == (1, "rolled_back")
    assert platform.instances(shop.name) == {"v1": 2}


def history(platform: Platform, shop: Shop) -> list[Json]:
    """The rollouts that have ended, the newest first."""
    rollouts: list[Json] = json.loads(platform.order("history", shop, "--json").stdout)["rollouts"]
    return [rollout for rollout in rollouts if rollout["ended_at"]]
