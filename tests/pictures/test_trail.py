"""The numbers behind a picture."""

import math
from datetime import timedelta

import pytest

from models.evidence_trail import VersionSample
from models.rollout import Phase, TimelineEntry
from pictures.trail import Trail, scattered
from pictures.words import rows, short, time, time_ticks
from tests.factories import WHEN
from tests.records.factories import a_record
from tests.records.trails import a_sample, samples

EXPOSED = WHEN + timedelta(seconds=10)
ROLLED_BACK = a_record(phase=Phase.ROLLED_BACK).model_copy(
    update={
        "exposed_at": EXPOSED,
        "decided_at": EXPOSED + timedelta(seconds=6),
        "off_at": EXPOSED + timedelta(seconds=6.5),
    }
)


def test_the_weight_is_what_samples_saw_until_it_was_confirmed_to_be_gone() -> None:
    late = a_sample(17)  # a reading that began before the decision and was noted after the weight was 0
    weight = Trail(ROLLED_BACK, (*samples(11, 17), late)).weight()

    assert (weight.at[0], weight.values[0]) == (0.0, 10.0)
    assert [value for at, value in zip(weight.at, weight.values, strict=True) if at >= 6.5] == [0.0, 0.0]


def test_the_timeline_tells_weights_that_no_sample_saw() -> None:
    told = ((0, "v2 receives 10%"), (30, "v2 receives 50%"), (60, "v2 is promoted"), (61, "v1 receives nothing"))
    record = a_record(phase=Phase.PROMOTED).model_copy(
        update={
            "exposed_at": WHEN, "off_at": None, "decided_at": None,
            "timeline": tuple(TimelineEntry(at=WHEN + timedelta(seconds=at), text=text) for at, text in told),
        }
    )  # fmt: skip
    trail = Trail(record, ())

    assert trail.weight().at == (0.0, 30.0, 60.0, 60.0)
    assert trail.weight().values == (10.0, 50.0, 100.0, 100.0)
    assert [(moment.at, moment.name) for moment in trail.moments] == [(0.0, "exposed"), (60.0, "promoted")]


def test_the_turning_points_are_counted_from_the_first_traffic() -> None:
    moments = Trail(ROLLED_BACK, ()).moments

    assert [(moment.at, moment.name) for moment in moments] == [(0.0, "exposed"), (6.0, "decided"), (6.5, "off")]


def test_a_time_without_samples_interrupts_lines_and_a_sample_alone_is_a_point() -> None:
    rate = Trail(ROLLED_BACK, (a_sample(11), a_sample(12), a_sample(15))).error_rate(lambda each: each.of_candidate)

    assert [math.isnan(value) for value in rate.values] == [False, False, True, False]
    assert scattered(rate).at == (5.0,)


def test_rates_are_of_the_last_moments_together() -> None:
    trail = Trail(
        ROLLED_BACK.model_copy(update={"decided_at": None, "off_at": None}),
        [a_sample(10 + second, bad=4 if second % 2 else 0) for second in range(1, 101)],
    )
    rate = trail.error_rate(lambda each: each.of_candidate)

    assert rate.values[0] == pytest.approx(10.0)
    assert min(rate.values[10:]) == pytest.approx(5.0)
    assert max(rate.values[10:]) == pytest.approx(5.0)


def test_where_nothing_was_asked_or_read_there_is_no_rate() -> None:
    asked_nothing = a_sample(11).model_copy(update={"of_candidate": VersionSample(requests=0, bad=0)})
    read_nothing = a_sample(12).model_copy(update={"of_candidate": VersionSample(), "problem": "away"})
    trail = Trail(ROLLED_BACK, (asked_nothing, read_nothing))

    assert trail.error_rate(lambda each: each.of_candidate).empty
    assert trail.unseen() == [(1.0, 2.0)]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (6.12, "6.1 s"),
        (-3, "-3 s"),
        (59.99, "1 min"),
        (61, "1 min 1 s"),
        (7205, "2 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, shown: str) -> None:
    assert time(seconds, 100) == shown


@pytest.mark.parametrize("span", [1, 6.3, 59, 240, 4_000, 90_000, 1e7, 3e11])
def test_an_axis_has_some_ticks_and_not_too_many(span: float) -> None:
    assert 2 <= len(time_ticks(-0.3, span)) <= 12


def test_a_long_reason_takes_two_lines_broken_between_words() -> None:
    text = short("word " * 100, 100)

    assert len(text) <= 100
    assert [len(row) <= 60 for row in rows(text, 60)] == [True, True]
    assert all(row.split(" ")[0] == "word" for row in rows(text, 60))


def test_what_it_is_held_against_is_the_stable_version_or_its_baseline() -> None:
    beside = tuple(sample.model_copy(update={"stable": "v1~baseline"}) for sample in samples(11, 14))

    assert Trail(ROLLED_BACK, samples(11, 14)).stable == "v1"
    assert Trail(ROLLED_BACK, beside).stable == "the baseline of v1"
