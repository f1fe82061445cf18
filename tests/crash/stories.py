"""The rollouts that are disturbed: each from its order to its end, and what an undisturbed one leaves behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from models.ids import baseline_of
from tests.whole.platform import Platform, Shop

GOOD, OTHER, BAD = "v1", "v2", "v9"
"""Two versions that are healthy and take each other's place from trial to trial, and one that is so bad that the few
requests of a short bake never make it look well by chance: at 30 of them once in 30 million trials.
"""

_NO_COOLDOWN = {"cooldown": "0s"}
_CANARY = {"steps": [{"weight": "50%", "bake": "2s"}]}
_BLUE_GREEN = {"strategy": "blue-green", "bake": "2s"}
_ROLLING = {"strategy": "rolling", "batch": 1, "bake": "2s"}
_STABLE, _BASELINE = ({"against": against, "proof": False} for against in ("stable", "baseline"))
_LONG = {"steps": [{"weight": "50%", "bake": "10m"}]}

_ALWAYS = {"guard.acquire": 1, "guard.release": 1, "records.write": 1, "traffic.current": 1, "deploy.stop": 1}
_SWITCH = {**_ALWAYS, "deploy.instances": 3, "deploy.start": 1, "traffic.apply": 2, "traffic.watch": 1}

_BACK = {**_ALWAYS, "deploy.instances": 2, "deploy.start": 1, "traffic.apply": 1}
_BESIDE = {**_SWITCH, "deploy.scale": 1, "deploy.stop": 2}


@dataclass(frozen=True)
class Story:
    """`calls` is how often an undisturbed run calls each activity; a test holds it to the journal.

    `started` is how many instances of the new version come up; with `baseline`, as many fresh ones of the stable
    version, too. `at_once` is a way back, as `holdfast rollback` asks
    for one, and `automatic` one that nobody asks for; `by_order` is promoted by a person while it bakes.
    """

    name: str
    strategy: Mapping[str, object]
    promoted: bool
    calls: Mapping[str, int]
    started: int = 2
    at_once: bool = False
    automatic: bool = False
    by_order: bool = False
    baseline: bool = False

    def shop(self, platform: Platform) -> Shop:
        compare = _BASELINE if self.baseline else _STABLE
        shop = platform.shop(strategy=self.strategy, min_requests=30, compare=compare)
        catalog = json.loads(shop.catalog.read_text())
        catalog["services"][shop.name]["guard"] = _NO_COOLDOWN
        shop.catalog.write_text(json.dumps(catalog))
        return shop

    def starts(self, stable: str) -> dict[str, int]:
        """How many instances of each group an undisturbed run starts."""
        beside = {baseline_of(stable): self.started} if self.baseline else {}
        return {self.candidate(stable): self.started, **beside}

    def candidate(self, stable: str) -> str:
        if not self.promoted:
            return BAD
        return OTHER if stable == GOOD else GOOD

    def __str__(self) -> str:
        return self.name


STORIES = (
    Story("canary", _CANARY, promoted=True, calls=_SWITCH),
    Story("canary, bad", _CANARY, promoted=False, calls=_SWITCH),
    Story("canary beside a baseline", _CANARY, promoted=True, calls=_BESIDE, baseline=True),
    Story("canary beside a baseline, bad", _CANARY, promoted=False, calls=_BESIDE, baseline=True),
    Story("blue-green", _BLUE_GREEN, promoted=True, calls=_SWITCH),
    Story("blue-green, bad", _BLUE_GREEN, promoted=False, calls=_SWITCH),
    Story(
        "rolling",
        _ROLLING,
        promoted=True,
        calls={
            **_ALWAYS,
            "deploy.instances": 6,
            "deploy.start": 2,
            "deploy.scale": 1,
            "traffic.apply": 4,
            "traffic.watch": 2,
        },
    ),
    Story(
        "rolling, bad",
        _ROLLING,
        promoted=False,
        started=1,
        calls={
            **_ALWAYS,
            "deploy.instances": 5,
            "deploy.start": 1,
            "deploy.scale": 1,
            "traffic.apply": 3,
            "traffic.watch": 1,
        },
    ),
    Story("promoted by order", _LONG, promoted=True, calls={**_SWITCH, "records.write": 2}, by_order=True),
    Story("rollback", _CANARY, promoted=True, calls=_BACK, at_once=True),
    Story("way back", _CANARY, promoted=True, calls=_BACK, at_once=True, automatic=True),
)
