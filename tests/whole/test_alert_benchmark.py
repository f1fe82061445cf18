"""A part of `make bench-alerts` and `make bench-storm`: nothing is lost, and what they count is right.

How fast it is depends on the machine, and is not asked.
"""

import pytest

from benchmarks.alert_lags import ESCALATES, LEVELS, measure_lags, measure_lateness
from benchmarks.alert_stage import GATEWAY, a_stage
from benchmarks.alert_storm import MEGABYTES_AT_MOST, rage
from benchmarks.alertmanager import find_alertmanager
from benchmarks.alerts import BARE
from benchmarks.alerts_rate import Shape, measure


async def test_both_kinds_are_measured_and_every_alert_is_counted_and_paged() -> None:
    said: list[str] = []
    async with a_stage(more=[BARE]) as stage:
        rates = await measure(stage, Shape(count=40, keys=20, at_once=8), rounds=1, say=said.append)
        lags = await measure_lags(stage, 3)

    (one,) = rates.rounds
    assert len(said) == 1
    assert rates.ratio > 0
    assert len(one.ours.times.seconds) == len(one.bare.times.seconds) == 40
    assert len(one.ours.notified.seconds) == 20, "each key's first alert is followed to its page"
    assert one.ours.computed[GATEWAY] > 0
    assert len(lags.ours.seconds) == 3
    assert lags.alertmanagers or not find_alertmanager()


@pytest.mark.full
async def test_every_further_level_is_timed() -> None:
    async with a_stage(levels=ESCALATES) as stage:
        late = await measure_lateness(stage, 3)

    assert len(late.seconds) == 3 * (LEVELS - 1)
    assert min(late.seconds) >= 0


@pytest.mark.timeout(300)
async def test_a_storm_loses_nothing_and_leaves_the_gateway_small() -> None:
    storm = await rage(alerts=1_000, keys=20, seconds=10)

    assert (storm.lost, storm.extra, storm.incidents) == (0, 0, 20)
    assert 50 < storm.megabytes < MEGABYTES_AT_MOST
