"""Equals out of instances' counters and out of rollouts' trails."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dispersion import Pair
from analysis.equals_periods import MOST_GROUPS, increases, of_instances, of_trail, stayed, usual_share, versions_since
from models.catalog import Service
from models.counters import CounterPoint
from models.evidence_trail import VersionSample
from models.record import RolloutRecord
from models.rollout import PastRollout, Phase
from tests.factories import WHEN, a_blue_green_service, a_rolling_service, a_service, a_step
from tests.records.factories import a_record
from tests.records.trails import a_sample


def points(*counters: tuple[float, float | None], begins: float = 0.0) -> list[CounterPoint]:
    return [CounterPoint(begins + 60.0 * minute, *each) for minute, each in enumerate(counters)]


def steady(requests: float, errors: float, minutes: int = 10, begins: float = 0.0) -> list[CounterPoint]:
    return points(*((requests * minute, errors * minute) for minute in range(minutes + 1)), begins=begins)


def test_increases_are_those_between_two_points_at_the_time_of_the_first() -> None:
    assert increases(points((100, 5), (150, 7), (150, 7))) == [(0.0, (50, 2)), (60.0, (0, 0))]


def test_a_counter_that_begins_anew_counts_from_nothing() -> None:
    assert increases(points((100, 5), (20, 1), (30, 1))) == [(0.0, (20, 1)), (60.0, (10, 0))]
    assert increases(points((100, 5), (20, None), (30, 2))) == [(0.0, (20, 0)), (60.0, (10, 2))]


def test_errors_begin_with_the_first_of_them() -> None:
    assert increases(points((100, None), (150, None), (200, 3))) == [(0.0, (50, 0)), (60.0, (50, 3))]


def test_nobody_knows_when_it_was_counted_what_came_in_a_gap() -> None:
    before, after = points((0, 0), (10, 0)), points((500, 0), (520, 1), begins=1200)

    assert increases(before + after) == [(0.0, (10, 0)), (1200.0, (20, 1))]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=30))
def test_increases_add_up_to_what_was_counted(steps: list[tuple[int, int]]) -> None:
    requests = errors = 0.0
    counters: list[tuple[float, float | None]] = [(0.0, 0.0)]
    for more, bad in steps:
        requests, errors = requests + more, errors + min(more, bad)
        counters.append((requests, errors))

    found = [each for _, each in increases(points(*counters))]

    assert (sum(n for n, _ in found), sum(x for _, x in found)) == (requests, errors)


def test_each_instance_is_beside_the_others() -> None:
    instances = {"a": steady(100, 1), "b": steady(200, 2), "c": steady(300, 9)}

    found = of_instances("v1", instances, 0.1)

    assert [period.name for period in found] == [f"v1: {name} beside the others" for name in "abc"]
    assert [period.minutes[0].pair for period in found] == [
        Pair(100, 1, 500, 11), Pair(200, 2, 400, 10), Pair(300, 9, 300, 3)
    ]  # fmt: skip
    assert all(len(period.minutes) == 10 for period in found)


def test_two_halves_are_one_group_as_either_tells_of_the_other() -> None:
    two = {"a": steady(100, 1), "b": steady(100, 1)}
    four = {name: steady(100, 1) for name in "abcd"}

    assert [period.name for period in of_instances("v1", two, 0.1)] == ["v1: a beside the others"]
    assert [period.name for period in of_instances("v1", four, 0.5)] == ["v1: a and b beside the others"]


def test_one_instance_has_nothing_beside_it() -> None:
    one_after_the_other = {"a": steady(100, 1), "b": steady(100, 1, begins=6000)}

    assert of_instances("v1", {"a": steady(100, 1)}, 0.1) == []
    assert of_instances("v1", one_after_the_other, 0.1) == []
    assert of_instances("v1", {}, 0.1) == []


def test_groups_have_the_share_that_was_asked_for_and_are_not_too_many() -> None:
    many = {f"i{number:03}": steady(100, 1) for number in range(100)}

    found = of_instances("v1", many, 0.03)

    assert len(found) == MOST_GROUPS
    assert all(period.minutes[0].pair == Pair(300, 3, 9700, 97) for period in found)
    assert len({period.name for period in found}) == MOST_GROUPS


def test_an_instance_that_comes_later_is_beside_those_that_are_there_then() -> None:
    instances = {"a": steady(100, 1, 20), "b": steady(100, 1, 20), "late": steady(100, 5, 5, begins=600)}

    found = {period.name.split()[1]: period for period in of_instances("v1", instances, 0.1)}

    assert [minute.at for minute in found["late"].minutes] == [600 + 60 * minute for minute in range(5)]
    assert found["late"].minutes[0].pair == Pair(100, 5, 200, 2)
    assert {minute.pair.rest_requests for minute in found["a"].minutes} == {100, 200}


def test_a_trail_is_added_up_by_minutes() -> None:
    period = of_trail("v2", [a_sample(second) for second in range(120)])

    assert [minute.pair for minute in period.minutes] == [Pair(2400, 60, 21600, 120)] * 2
    assert [minute.at for minute in period.minutes] == [WHEN.timestamp(), WHEN.timestamp() + 60]


def test_a_sample_of_minutes_is_spread_over_them() -> None:
    long = a_sample(179).model_copy(update={"seconds": 180.0})

    assert [minute.pair for minute in of_trail("v2", [long]).minutes] == [Pair(40 / 3, 1 / 3, 120, 2 / 3)] * 3


def test_what_was_not_read_of_both_is_left_out() -> None:
    blind = a_sample(1).model_copy(update={"of_stable": VersionSample()})
    alone = a_sample(2).model_copy(update={"of_stable": VersionSample(requests=0, bad=0)})

    assert of_trail("v2", [blind, alone]).minutes == ()


def a_rollout(version: str, before: str | None, phase: Phase = Phase.PROMOTED) -> RolloutRecord:
    return a_record(version, phase=phase).model_copy(update={"version": version, "stable_before": before})


def test_rollouts_whose_version_stayed_were_of_equals() -> None:
    newest_first = [
        a_rollout("v5", "v3"),
        a_rollout("v3", "v4"),  # the way back
        a_rollout("v4", "v3"),
        a_rollout("v3", "v2"),
        a_rollout("v2b", "v2", Phase.ROLLED_BACK),
        a_rollout("v2", None),
    ]

    found = [(each.version, each.stable_before) for each in stayed(newest_first)]

    assert found == [("v5", "v3"), ("v3", "v2")]


def served(version: str, day: int, phase: Phase = Phase.PROMOTED) -> PastRollout:
    began = WHEN + timedelta(days=day)
    return PastRollout(
        version=version, strategy="canary", phase=phase, started_at=began, ended_at=began, run_id=f"{version}-{day}"
    )


def test_versions_that_served_are_those_promoted_since_and_the_one_before() -> None:
    past = [served("v5", 9, Phase.KEEPING), served("bad", 8, Phase.ROLLED_BACK), served("v4", 6), served("v3", 2)]

    assert versions_since([*past, served("v2", 1)], WHEN + timedelta(days=3)) == ["v5", "v4", "v3"]
    assert versions_since([], WHEN) == []


@pytest.mark.parametrize(
    ("service", "share"),
    [
        (a_service(a_step(5.0)), 0.05),
        (a_rolling_service(4, batch=2), 0.5),
        (a_rolling_service(2, batch=5), 1.0),
        (a_blue_green_service(), 0.5),
    ],
    ids=["canary", "rolling", "more than there are", "blue-green"],
)
def test_a_group_is_as_large_as_a_candidate_usually_is(service: Service, share: float) -> None:
    assert usual_share(service) == share
