"""kill -9 of the worker at every activity boundary of a canary: always the end that an undisturbed one has.

`make test` runs one death per activity; `make crash` runs every occurrence of each, before and after.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.plan import CrashFolder, Death, Moment
from tests.whole.platform import Json, Platform, Shop

FULL = os.environ.get("HOLDFAST_CRASH") == "full"

# How often a canary with one step calls each activity, promoted or taken back; the first test holds it to the journal.
CALLS = {
    "traffic.current": 1,
    "deploy.instances": 3,
    "deploy.start": 1,
    "traffic.apply": 2,
    "traffic.watch": 1,
    "deploy.stop": 1,
}
CASES = {"v2": ("promoted", {"v2": 2}), "v3": ("rolled_back", {"v1": 2})}


def deaths() -> list[tuple[str, str, int, Moment]]:
    every = [
        (version, activity, nth, moment)
        for version in CASES
        for activity, count in CALLS.items()
        for nth in range(1, count + 1)
        for moment in Moment
    ]
    if FULL:
        return every
    return [
        (version, activity, nth, moment)
        for version, activity, nth, moment in every
        if activity in {"deploy.start", "traffic.apply", "traffic.watch", "deploy.stop"}
        if nth == CALLS[activity] and (version == "v3") == (moment is Moment.AFTER)
    ]


def a_shop(platform: Platform) -> Shop:
    return platform.shop(steps=[{"weight": "50%", "bake": "2s"}], min_requests=20)


@pytest.mark.parametrize("version", CASES)
def test_the_boundaries_are_all_of_them(mortal_platform: Platform, version: str) -> None:
    outcome, alive = CASES[version]
    shop = a_shop(mortal_platform)
    mortal_platform.deploy(shop, "v1")
    with mortal_platform.traffic(shop):
        result = mortal_platform.deploy(shop, version, expect=int(outcome != "promoted"))

    folder = CrashFolder(mortal_platform.home)
    executed = folder.executed(folder.last_run(f"rollout/local/{shop.name}"))
    assert Counter(call.activity for call in executed) == CALLS
    assert_ended(mortal_platform, shop, result, outcome, alive)


@pytest.mark.parametrize(("version", "activity", "nth", "moment"), deaths())
def test_a_worker_that_dies_changes_nothing_of_the_end(
    mortal_platform: Platform, version: str, activity: str, nth: int, moment: Moment
) -> None:
    outcome, alive = CASES[version]
    shop = a_shop(mortal_platform)
    mortal_platform.deploy(shop, "v1")
    folder = CrashFolder(mortal_platform.home)
    workflow_id = f"rollout/local/{shop.name}"
    folder.plan(Death(workflow_id=workflow_id, activity=activity, nth=nth, moment=moment))
    with mortal_platform.traffic(shop) as report:
        result = mortal_platform.deploy(shop, version, expect=int(outcome != "promoted"))
        users = report()

    assert folder.due is None, "the worker did not die where it was told to"
    assert_ended(mortal_platform, shop, result, outcome, alive)
    if outcome == "promoted":
        assert users["failed"] == 0


def assert_ended(platform: Platform, shop: Shop, result: Json, outcome: str, alive: dict[str, int]) -> None:
    """The decided end: the right instances, each version's started once, all traffic where it belongs."""
    stable = next(iter(alive))
    assert result["outcome"] == outcome
    assert result["stable"] == stable
    assert platform.instances(shop.name) == alive
    record = (platform.home / "envoy" / "services" / f"local.{shop.name}.json").read_text()
    assert f'"stable": "{stable}"' in record
    assert re.search(r'"candidate": null', record)
    assert starts(platform, shop) == {"v1": 2, result["version"]: 2}


def starts(platform: Platform, shop: Shop) -> dict[str, int]:
    """How many processes of each version were ever started, by what each printed first."""
    found: dict[str, int] = {}
    logs: list[Path] = sorted((platform.home / "instances" / "local" / shop.name).glob("*/*.log"))
    for log in logs:
        found[log.parent.name] = found.get(log.parent.name, 0) + log.read_text().count("listens on")
    return found
