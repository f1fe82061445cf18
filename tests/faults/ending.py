"""What holds of every rollout that has ended, whatever it met on its way."""

import json
from pathlib import Path

from tests.whole.platform import Json, Platform, Shop

STABLE_AFTER = {"promoted": "v2", "rolled_back": "v1", "failed": "v1"}


def assert_ended(platform: Platform, shop: Shop, result: Json, outcome: str, *, instances: int = 1) -> None:
    """The decided end: the right instances and no others, none started twice, all traffic where it belongs."""
    stable = STABLE_AFTER[outcome]
    assert (result["outcome"], result["stable"]) == (outcome, stable), result["reason"]
    assert platform.instances(shop.name) == {stable: instances}
    assert split_of(platform, shop) == (stable, None)
    assert max(starts(platform, shop).values()) == instances, "an instance was started twice"


def split_of(platform: Platform, shop: Shop) -> tuple[str, str | None]:
    """The stable version and the candidate, as Envoy's own files have them."""
    record = json.loads((platform.home / "envoy" / "services" / f"local.{shop.name}.json").read_text())
    return record["split"]["stable"], record["split"]["candidate"]


def starts(platform: Platform, shop: Shop) -> dict[str, int]:
    """How many processes of each version were ever started, by what each printed first."""
    found: dict[str, int] = {}
    logs: list[Path] = sorted((platform.home / "instances" / "local" / shop.name).glob("*/*.log"))
    for log in logs:
        found[log.parent.name] = found.get(log.parent.name, 0) + log.read_text().count("listens on")
    return found
