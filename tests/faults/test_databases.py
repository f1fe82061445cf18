"""Databases that are locked by another process or gone while a canary is under way."""

import json
import sqlite3
import time
from contextlib import ExitStack

import pytest

from tests.faults.ending import assert_ended
from tests.sqlite import held_by_another_process
from tests.whole.platform import Json, Platform, Shop, finished, until


def a_shop(platform: Platform, bake: str = "3s") -> Shop:
    return platform.shop(steps=[{"weight": "50%", "bake": bake}], instances=1)


def recorded(platform: Platform, shop: Shop) -> Json:
    """What the records' file itself says of the newest rollout of a service; empty while it says nothing."""
    if not (platform.home / "records.db").exists():  # to open it would make it
        return {}
    connection = sqlite3.connect(platform.home / "records.db")
    connection.row_factory = sqlite3.Row
    try:
        query = "SELECT * FROM rollouts WHERE service = ? ORDER BY started_at DESC LIMIT 1"
        row = connection.execute(query, [shop.name]).fetchone()
        return dict(row) if row else {}
    except sqlite3.OperationalError:  # the tables are being made
        return {}
    finally:
        connection.close()


def until_recorded(platform: Platform, shop: Shop, phase: str) -> Json:
    until(lambda: recorded(platform, shop).get("phase") == phase, f"the records to say {phase}", within=60)
    return recorded(platform, shop)


@pytest.mark.full
def test_records_that_are_locked_throughout_delay_nothing_and_are_written_afterwards(
    faulty_platform: Platform,
) -> None:
    shop = a_shop(faulty_platform)
    faulty_platform.deploy(shop, "v1")
    until_recorded(faulty_platform, shop, "promoted")
    with (
        faulty_platform.traffic(shop, rate=20),
        held_by_another_process(faulty_platform.home / "records.db", "EXCLUSIVE"),
    ):
        began = time.monotonic()
        result = faulty_platform.deploy(shop, "v2")
        took = time.monotonic() - began
        while_locked = recorded(faulty_platform, shop)["version"]
    after = until_recorded(faulty_platform, shop, "promoted")
    until(lambda: recorded(faulty_platform, shop)["version"] == "v2", "the rollout of v2 in the records", within=60)
    after = until_recorded(faulty_platform, shop, "promoted")
    audit = json.loads(faulty_platform.order("audit", shop, "--json").stdout)["entries"]

    assert took < 45, "it waited for its records"
    assert while_locked == "v1"
    assert_ended(faulty_platform, shop, result, "promoted")
    assert "v2 is promoted" in after["timeline"]
    told = {(entry["what"], entry["version"], entry["outcome"]) for entry in audit}
    assert told == {("deploy", version, outcome) for version in ("v1", "v2") for outcome in ("accepted", "promoted")}


def test_records_that_are_removed_in_the_middle_are_made_anew(faulty_platform: Platform) -> None:
    shop = a_shop(faulty_platform, bake="60s")
    faulty_platform.deploy(shop, "v1")
    with faulty_platform.traffic(shop, rate=20), faulty_platform.deploying(shop, "v3") as deploying:
        until(lambda: recorded(faulty_platform, shop).get("version") == "v3", "the rollout in the records")
        for each in faulty_platform.home.glob("records.db*"):
            each.unlink()
        code, result = finished(deploying)
    after = until_recorded(faulty_platform, shop, "rolled_back")

    assert code == 1
    assert_ended(faulty_platform, shop, result, "rolled_back")
    assert "asked for v3" in after["timeline"], "what was before the removal is told, too"


@pytest.mark.full
def test_a_temporal_database_that_is_locked_for_20_s_holds_a_canary_up_and_changes_nothing_else(
    faulty_platform: Platform,
) -> None:
    """The lease of 30 s bears it: the weights stay, and each rollout goes on from where it was."""
    versions = {a_shop(faulty_platform, bake): version for version, bake in (("v2", "15s"), ("v3", "60s"))}
    for shop in versions:
        faulty_platform.deploy(shop, "v1")
    with ExitStack() as stack:
        under_way = {
            shop: stack.enter_context(faulty_platform.deploying(shop, version)) for shop, version in versions.items()
        }
        for shop in versions:
            faulty_platform.until_weight(shop, "50%")
        with held_by_another_process(faulty_platform.home / "temporal.db", "EXCLUSIVE"):
            until_released = time.monotonic() + 20
            for shop in versions:
                stack.enter_context(faulty_platform.traffic(shop, rate=20))
            until(lambda: time.monotonic() > until_released, "20 s to pass")
        ended = {shop: finished(deploying) for shop, deploying in under_way.items()}

    for shop, version in versions.items():
        _, result = ended[shop]
        assert_ended(faulty_platform, shop, result, "promoted" if version == "v2" else "rolled_back")
        assert "was off the traffic" not in until_recorded(faulty_platform, shop, result["outcome"])["timeline"]
