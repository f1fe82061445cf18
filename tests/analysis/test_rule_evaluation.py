"""Alerts that are pending, fire and clear."""

import math
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from analysis.rule_bounds import MOST_ALERTS_OF_A_SET, ROOM, SAID_AT_ONCE, is_too_large
from analysis.rule_evaluation import Sample, Unread, evaluated
from analysis.rule_revision import cleared_orphans, revised
from models.alert import AlertStatus
from models.alert_rules import BLIND, AlertChange, AlertState, RuleSet, RuleStanding, RulesWatched, WatchRules
from tests.analysis.rule_factories import (
    CLEARED,
    FIRED,
    STEP,
    Watched,
    a_file_set,
    a_promql_rule,
    a_rule,
    a_set,
    series,
)
from tests.factories import WHEN

BAD, GOOD = 0.10, 0.01
DOWN = Unread("Prometheus does not answer")


def test_fires_once_it_has_held_for_as_long_as_the_rule_says() -> None:
    shop = Watched()

    assert shop.see(BAD, times=4) == []
    assert shop.states == ["pending"]
    assert shop.see(BAD) == [FIRED]
    assert shop.see(BAD, times=10) == []


def test_fires_at_once_without_for() -> None:
    assert Watched(a_set(a_rule("error_rate > 5%"))).see(BAD) == [FIRED]


def test_one_good_look_while_pending_begins_anew() -> None:
    shop = Watched()
    shop.see(BAD, times=4)
    shop.see(GOOD)

    assert shop.states == []
    assert shop.see(BAD, times=4) == []
    assert shop.see(BAD) == [FIRED]


def test_clears_as_soon_as_the_comparison_holds_no_more() -> None:
    shop = Watched()
    shop.see(BAD, times=5)

    assert shop.see(GOOD) == [CLEARED]
    assert shop.states == []


def test_keeps_firing_for_as_long_as_the_rule_says() -> None:
    shop = Watched(a_set(a_rule("error_rate > 5%", keep_firing_for=2 * STEP)))
    shop.see(BAD)

    assert shop.see(GOOD, times=2) == []
    assert shop.see(BAD) == []
    assert shop.see(GOOD, times=2) == []
    assert shop.see(GOOD) == [CLEARED]


def test_missing_data_is_no_verdict() -> None:
    """Neither no answer nor a value that is not known makes it fire, or clear."""
    for nothing in (DOWN, None, math.nan):
        shop = Watched()
        assert shop.see(nothing, times=20) == []
        shop.see(BAD, times=4)
        assert shop.see(nothing, times=20) == []
        assert shop.states == ["pending"]
        shop.see(BAD, times=5)
        assert shop.firing
        assert shop.see(nothing, times=20) == []
        assert shop.firing


def test_time_in_which_nothing_was_known_does_not_count_towards_for() -> None:
    shop = Watched()
    shop.see(BAD, times=2)
    shop.see(DOWN, times=40)

    assert shop.see(BAD, times=2) == []
    assert shop.see(BAD) == [FIRED]


def test_time_in_which_nothing_was_known_does_not_count_towards_keeping_it_firing() -> None:
    shop = Watched(a_set(a_rule("error_rate > 5%", keep_firing_for=3 * STEP)))
    shop.see(BAD)
    shop.see(GOOD)
    shop.see(DOWN, times=40)

    assert shop.see(GOOD) == []
    assert shop.see(GOOD) == []
    assert shop.see(GOOD) == [CLEARED]


def test_a_look_that_comes_a_little_late_counts() -> None:
    shop = Watched()
    shop.see(BAD)

    assert shop.see(BAD, times=2, after=STEP * 2) == [FIRED]


def test_each_series_is_an_alert_of_its_own_and_one_that_vanishes_clears() -> None:
    prometheus = Watched(a_file_set(a_promql_rule(lasting=STEP)))
    prometheus.see(series(0.0, 0.0))

    assert prometheus.see(series(0.0, 0.0)) == [FIRED, FIRED]
    assert prometheus.see(series(0.0)) == [CLEARED]
    assert prometheus.see(()) == [CLEARED]


def test_a_pending_series_that_vanishes_is_forgotten() -> None:
    prometheus = Watched(a_file_set(a_promql_rule(lasting=4 * STEP)))
    prometheus.see(series(0.0))
    prometheus.see(())

    assert prometheus.states == []


def test_whatever_an_expression_of_prometheus_finds_is_active_even_what_is_no_number() -> None:
    assert Watched(a_file_set()).see(series(math.nan)) == [FIRED]


def test_labels_and_texts_are_filled_in() -> None:
    rule = a_promql_rule(
        labels={"severity": "page", "where": "{{ $labels.zone }}", "zone": ""},
        annotations={"summary": "{{ $labels.instance }} in {{ $labels.zone }} is at {{ $value | humanizePercentage }}"},
    )
    prometheus = Watched(a_file_set(rule))
    prometheus.see((Sample({"__name__": "up", "instance": "a", "zone": "b"}, 0.5),))

    (alert,) = prometheus.standing.alerts.values()
    assert alert.labels == {"alertname": "down", "instance": "a", "severity": "page", "where": "b"}
    assert alert.annotations == {"summary": "a in b is at 50%"}


def test_more_alerts_than_a_rule_may_have_are_an_error_and_no_verdict() -> None:
    prometheus = Watched(a_file_set(a_promql_rule(limit=2)))

    assert prometheus.see(series(0.0, 0.0, 0.0)) == []
    assert "finds 3 alerts, and 2 are the most" in prometheus.standing.troubles["down"].text


def test_a_series_whose_labels_no_alert_can_hold_is_an_error() -> None:
    prometheus = Watched(a_file_set())

    assert prometheus.see((Sample({"path": "x" * 2000}, 0.0),)) == []
    assert "label path is too long" in prometheus.standing.troubles["down"].text


def test_rules_that_cannot_be_evaluated_for_long_are_an_alert_themselves() -> None:
    shop = Watched(a_set(blind_after=4 * STEP))

    assert shop.see(DOWN, times=4) == []
    assert shop.see(DOWN) == [FIRED]
    assert shop.changes[-1].alert.rule == BLIND
    assert "Prometheus does not answer" in shop.changes[-1].alert.annotations["description"]
    assert shop.see(DOWN, times=10) == []
    assert shop.see(GOOD) == [CLEARED]


TEMPORAL_CARRIES = 2 * 2**20


def _everything_is_down(rules: RuleSet, each: int, text: str) -> tuple[RuleStanding, list[AlertChange]]:
    """All that is said until nothing is left to be said, and what stands then."""
    found = {
        rule.id: [Sample({"instance": f"{number}", "path": text}, 0.0) for number in range(each)]
        for rule in rules.rules
    }
    standing, said = RuleStanding(), list[AlertChange]()
    while True:
        standing, changes = evaluated(rules, standing, found, WHEN)
        result = RulesWatched(standing=standing, changes=changes)
        assert len(result.model_dump_json().encode()) < TEMPORAL_CARRIES
        assert len(WatchRules(rules=rules, standing=standing).model_dump_json().encode()) < TEMPORAL_CARRIES
        if not changes:
            return standing, said
        said += changes


def test_when_everything_is_down_all_is_said_in_parts_and_what_has_no_room_is_an_error() -> None:
    rules = a_file_set(*(a_promql_rule(name=f"down-{number}") for number in range(15)))
    standing, said = _everything_is_down(rules, each=200, text="x" * 300)

    keys = [tuple(sorted(change.alert.labels.items())) for change in said]
    assert len(set(keys)) == len(keys) == len(standing.alerts)
    assert 0 < len(said) <= MOST_ALERTS_OF_A_SET
    assert len(standing.model_dump_json()) < ROOM * 1.1
    assert "alerts that it finds are left out" in standing.troubles["down-14"].text
    assert len(standing.evaluated_at) == 15


def test_what_was_left_out_fires_once_there_is_room() -> None:
    rules = a_file_set(*(a_promql_rule(name=f"down-{number}") for number in range(6)))
    standing, _ = _everything_is_down(rules, each=200, text="")
    assert set(standing.troubles) == {"down-5"}
    still = [Sample({"instance": f"{number}"}, 0.0) for number in range(200)]
    found = {rule.id: still if rule.id != "down-0" else [] for rule in rules.rules}
    standing, changes = evaluated(rules, standing, found, WHEN + STEP)

    said = {(change.alert.rule, change.status) for change in changes}
    assert said == {("down-0", AlertStatus.CLEARED), ("down-5", AlertStatus.FIRED)}
    assert not standing.troubles


def test_what_clears_all_at_once_is_said_in_parts_too() -> None:
    rules = a_file_set(*(a_promql_rule(name=f"down-{number}") for number in range(3)))
    standing, fired = _everything_is_down(rules, each=200, text="x" * 700)
    cleared: list[AlertChange] = []
    while standing.alerts:
        standing, changes = evaluated(rules, standing, {rule.id: () for rule in rules.rules}, WHEN + STEP)
        assert 0 < sum(len(change.alert.model_dump_json()) for change in changes) <= SAID_AT_ONCE
        cleared += changes

    assert len(cleared) == len(fired)


def test_rules_that_leave_no_room_for_alerts_are_too_large() -> None:
    assert not is_too_large(a_file_set())
    assert is_too_large(a_file_set(*(a_promql_rule("x" * 5_000, name=f"r-{number}") for number in range(250))))


def test_rules_that_cannot_be_evaluated_are_no_alert_where_nobody_wants_it() -> None:
    assert Watched(a_set(blind_after=None)).see(DOWN, times=100) == []


def test_what_fires_for_long_is_said_again() -> None:
    shop = Watched(a_set(a_rule("error_rate > 5%"), again=10 * STEP))
    shop.see(BAD)

    assert shop.see(BAD, times=9) == []
    assert shop.see(BAD) == [FIRED]
    assert shop.see(BAD, times=9) == []


def test_after_an_edit_of_its_bound_an_alert_goes_on() -> None:
    shop = Watched()
    shop.see(BAD, times=5)
    edited = a_set(a_rule("error_rate > 2% for 5m"))

    standing, changes = cleared_orphans(edited, revised(shop.rules, edited, shop.standing), shop.now)

    assert changes == ()
    assert [alert.state for alert in standing.alerts.values()] == [AlertState.FIRING]


def test_what_fires_by_a_rule_that_is_gone_is_cleared() -> None:
    shop = Watched()
    shop.see(BAD, times=5)
    for edited in (a_set(a_rule(name="other")), a_set(a_rule(labels={"team": "shop"})), a_set(a_rule("p99 > 1s"))):
        standing, changes = cleared_orphans(edited, revised(shop.rules, edited, shop.standing), shop.now)

        assert [change.status for change in changes] == [AlertStatus.CLEARED]
        assert standing.alerts == {}


def test_what_is_pending_by_a_rule_that_is_gone_is_forgotten() -> None:
    shop = Watched()
    shop.see(BAD)
    edited = a_set(a_rule(name="other"))

    standing, changes = cleared_orphans(edited, revised(shop.rules, edited, shop.standing), shop.now)

    assert (standing.alerts, changes) == ({}, ())


looks = st.lists(st.sampled_from([BAD, GOOD, None, DOWN]), max_size=60)


@given(looks, st.integers(0, 5), st.integers(0, 5))
def test_it_fires_and_clears_in_turn_whatever_is_seen(seen: list[object], lasting: int, keeps: int) -> None:
    shop = Watched(a_set(a_rule("error_rate > 5%", lasting=lasting * STEP, keep_firing_for=keeps * STEP)))
    said: list[str] = []
    for look in seen:
        said += shop.see(look)  # type: ignore[arg-type]

    assert said == [FIRED, CLEARED] * (len(said) // 2) + [FIRED] * (len(said) % 2)
    assert shop.firing == (len(said) % 2 == 1)


@given(looks, st.integers(1, 5))
def test_it_never_fires_without_having_been_seen_bad_for_long_enough(seen: list[object], lasting: int) -> None:
    """In a row, but for looks that say nothing: of `for` many intervals there are one more looks than those."""
    shop = Watched(a_set(a_rule("error_rate > 5%", lasting=lasting * STEP)))
    bad, gaps = 0, 0
    for look in seen:
        before = shop.firing
        if look is BAD:
            bad, gaps = bad + 1, 0
        elif look is GOOD:
            bad = 0
        else:
            gaps += 1
        fired = FIRED in shop.see(look)  # type: ignore[arg-type]
        if fired and not before:
            # A single look that is missed may be bridged, which is half an interval short of being noticed.
            assert 2 * bad >= lasting + 1


def test_state_survives_being_written_down() -> None:
    shop = Watched(a_file_set(a_promql_rule(lasting=timedelta(minutes=1))))
    shop.see(series(0.0, math.nan), times=3)

    assert type(shop.standing).model_validate_json(shop.standing.model_dump_json()).alerts.keys() == (
        shop.standing.alerts.keys()
    )
