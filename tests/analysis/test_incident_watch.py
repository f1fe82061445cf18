"""What a person who watches incidents is shown of each."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analysis.incident_watch import Change, IncidentRow, changes, in_order, in_words, stands

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def a_row(name: str = "local/shop/a", **more: Any) -> IncidentRow:
    return IncidentRow.model_validate(
        {"incident": name, "severity": "SEV2", "phase": "triggered", "since": NOW, "alerts": 1, **more}
    )


def test_what_is_new_what_differs_and_what_is_gone_is_told() -> None:
    before = {name: a_row(name) for name in ("a", "b", "c")}
    now = {"a": a_row("a"), "b": a_row("b", alerts=2), "d": a_row("d")}
    assert [(change, row.incident) for change, row in changes(before, now)] == [
        (Change.CHANGED, "b"), (Change.OPENED, "d"), (Change.CLOSED, "c"),
    ]  # fmt: skip
    assert changes(now, now) == []


def test_who_waits_for_somebody_comes_first_then_the_gravest_then_the_oldest() -> None:
    rows = [
        a_row("done", phase="resolved", severity="SEV1"),
        a_row("taken", phase="acknowledged", severity="SEV1"),
        a_row("young"),
        a_row("old", since=NOW - timedelta(hours=1)),
        a_row("grave", severity="SEV1"),
    ]
    assert [row.incident for row in in_order(rows)] == ["grave", "old", "young", "taken", "done"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"next_level": 2, "next_level_at": NOW + timedelta(minutes=4, seconds=10)}, "level 2 in 4m10s"),
        ({"next_level": 2, "next_level_at": NOW - timedelta(seconds=1)}, "level 2 is due"),
        ({"snoozed_until": NOW + timedelta(hours=2)}, "snoozed for 2h"),
        ({"merged_into": "incident/local/shop/b"}, "merged into local/shop/b"),
        ({}, ""),
    ],
)
def test_what_comes_next_is_told_as_time_from_now(more: dict[str, Any], said: str) -> None:
    assert stands(a_row(**more), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (61, "1m1s"), (3_600 + 61, "1h1m"), (86_400 * 2 + 3_700, "49h1m")],
)
def test_times_are_read_at_a_glance(seconds: int, said: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == said
