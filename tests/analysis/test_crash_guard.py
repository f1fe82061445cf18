"""Instances that end by themselves."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.crash_guard import crash_loop, looked
from models.crashes import Crashes, CrashLoopSpec
from models.deployment import Instance, Instances
from tests.factories import WHEN

SPEC = CrashLoopSpec(at_most=2, window=timedelta(minutes=10))


def seen(*names: str, begun: int = 0) -> Instances:
    """Named like v2-0, so by version and slot."""
    return Instances(
        instances=tuple(
            Instance(
                name=name,
                version=name.split("-")[0],
                address="127.0.0.1:1",
                pid=1,
                started_at=WHEN + timedelta(seconds=begun),
                log="",
            )
            for name in names
        )
    )


def after(*looks: Instances, stable: str | None = "v1") -> str | None:
    crashes = Crashes()
    for number, instances in enumerate(looks):
        crashes = looked(crashes, instances, SPEC, candidate="v2", stable=stable, at=timedelta(minutes=number))
    return crash_loop(crashes, SPEC, "v2", at=timedelta(minutes=len(looks) - 1))


def test_instances_that_live_on_are_no_crash() -> None:
    assert after(*[seen("v1-0", "v2-0", "v2-1")] * 30) is None


def test_a_few_may_end() -> None:
    assert after(seen("v1-0", "v2-0", "v2-1", "v2-2"), seen("v1-0", "v2-0")) is None


def test_one_more_than_may_is_a_crash_loop() -> None:
    four = ("v2-0", "v2-1", "v2-2", "v2-3")
    reason = after(seen("v1-0", *four), seen("v1-0", "v2-0"))

    assert reason == "3 instances of v2 ended by themselves within 10m; 2 may"


def test_one_that_begins_anew_has_ended() -> None:
    looks = [seen("v1-0", "v2-0", begun=n) for n in range(4)]
    beside = [Instances(instances=(*seen("v1-0").instances, *look.of("v2"))) for look in looks]

    assert after(*beside) == "3 instances of v2 ended by themselves within 10m; 2 may"


def test_when_none_is_left_one_is_enough() -> None:
    reason = after(seen("v1-0", "v2-0"), seen("v1-0"))

    assert reason == "1 instance of v2 ended by itself within 10m, and none is left"


def test_what_ended_long_ago_is_forgotten() -> None:
    whole = ("v2-0", "v2-1", "v2-2", "v2-3")
    assert after(seen("v1-0", *whole), *[seen("v1-0", "v2-0")] * 12) is None


def test_a_host_that_goes_takes_no_version_back() -> None:
    assert after(seen("v1-0", "v1-1", "v2-0"), seen()) is None
    assert after(seen("v1-0", "v2-0"), seen("v1-0", "v2-0", begun=60), seen("v1-0", begun=60)) is not None


def test_one_who_never_saw_an_instance_knows_of_no_end() -> None:
    assert after(*[seen()] * 5, stable=None) is None


def test_a_first_version_may_crash_too() -> None:
    assert after(seen("v2-0"), seen(), stable=None) == "1 instance of v2 ended by itself within 10m, and none is left"


def test_a_window_that_looks_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="window must be above 0s"):
        CrashLoopSpec(window=timedelta())


@given(st.lists(st.sets(st.sampled_from(["v1-0", "v1-1", "v2-0", "v2-1", "v2-2"])), max_size=12))
def test_whatever_is_seen_no_more_ends_than_lived(looks: list[set[str]]) -> None:
    crashes, lived = Crashes(), 0
    for number, names in enumerate(looks):
        lived += sum(name.startswith("v2") for name in names)
        found = looked(crashes, seen(*names), SPEC, candidate="v2", stable="v1", at=timedelta(minutes=number))
        crashes = Crashes.model_validate_json(found.model_dump_json())

    assert len(crashes.ended) <= lived


def test_ends_that_no_longer_count_are_forgotten() -> None:
    crashes = Crashes()
    for minute in range(0, 600, 6):
        instances = seen("v1-0", "v2-0", begun=minute)
        crashes = looked(crashes, instances, SPEC, candidate="v2", stable=None, at=timedelta(minutes=minute))

    assert crashes.ended == (timedelta(minutes=588), timedelta(minutes=594))
