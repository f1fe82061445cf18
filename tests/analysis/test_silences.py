"""Silences that people keep: when they are in force, who may ask for them, and what is forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from analysis.placing import Surroundings, place
from analysis.silences import (
    added,
    concerns,
    expired,
    in_force,
    needed_access,
    pruned,
    refusal,
    shown,
    spec_of,
    standing,
)
from models.gateway_spec import Access
from models.incident_spec import Silence
from models.matching import split_matchers
from models.mistakes import MistakeError
from models.silences import (
    ENDED_KEPT,
    MOST_SILENCES,
    AddSilence,
    ExpireSilence,
    SilencesState,
    SilenceWords,
    Standing,
)
from tests.analysis.incident_factories import an_alert
from tests.analysis.test_placing import a_catalog

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)
NOTHING = SilencesState(environment="local")


def words(**said: Any) -> SilenceWords:
    return SilenceWords.model_validate({"match": "service=shop", **said})


def spec(name: str = "s-1", **said: Any) -> Silence:
    return spec_of(words(**(said or {"for": "2h"})), name, NOW)


def with_silence(state: SilencesState = NOTHING, name: str = "s-1", /, **said: Any) -> SilencesState:
    return added(state, AddSilence(spec=spec(name, **said), by="ada"), NOW)


def test_it_is_in_force_from_its_order_until_its_end_and_not_a_moment_longer() -> None:
    (silence,) = with_silence().silences
    assert standing(silence, NOW) is Standing.ACTIVE
    assert standing(silence, NOW + 2 * HOUR - timedelta(seconds=1)) is Standing.ACTIVE
    assert standing(silence, NOW + 2 * HOUR) is Standing.ENDED


def test_one_that_begins_later_waits_for_it() -> None:
    (silence,) = with_silence(NOTHING, **{"from": "2026-03-04 14:00", "for": "1h"}).silences
    assert standing(silence, NOW) is Standing.PENDING
    assert standing(silence, NOW + 2 * HOUR) is Standing.ACTIVE
    assert standing(silence, NOW + 3 * HOUR) is Standing.ENDED


def test_a_maintenance_window_comes_again_every_week_on_the_clock_of_its_zone() -> None:
    state = with_silence(every="wed 14:00 – wed 15:00", zone="Europe/Berlin")
    (silence,) = state.silences
    for at, wanted in (
        (NOW, Standing.PENDING),
        (NOW + HOUR, Standing.ACTIVE),
        (NOW + 2 * HOUR, Standing.PENDING),
        (NOW + timedelta(days=7, hours=1), Standing.ACTIVE),
        (NOW + timedelta(days=28), Standing.ACTIVE),  # it is summer time there by then
    ):
        assert standing(silence, at) is wanted, at
    ended = expired(state, ExpireSilence(id="s-1", by="bob"), NOW)
    assert standing(ended.silences[0], NOW + HOUR) is Standing.ENDED


def test_one_that_was_expired_silences_nothing_and_tells_by_whom() -> None:
    state = expired(with_silence(), ExpireSilence(id="s-1", by="bob"), NOW + HOUR)
    assert in_force(state.silences, NOW + HOUR) == ()
    view = shown(state.silences[0], NOW + HOUR)
    assert (view.standing, view.expired_by, view.ends) == (Standing.ENDED, "bob", NOW + HOUR)
    again = expired(state, ExpireSilence(id="s-1", by="eve"), NOW + 2 * HOUR)
    assert again.silences[0].expired_by == "bob"


def test_the_same_order_again_is_kept_once() -> None:
    order = AddSilence(spec=spec(), by="ada")
    assert added(added(NOTHING, order, NOW), order, NOW + HOUR) == added(NOTHING, order, NOW)
    assert refusal(with_silence(), order, NOW + 3 * HOUR) == ""


def test_an_alert_is_told_which_silence_by_whom_and_until_when() -> None:
    alert, state = an_alert(), with_silence(NOTHING, **{"for": "2h", "reason": "a move"})
    silences = in_force(state.silences, NOW)
    catalog = a_catalog()
    met = place(alert, catalog, Surroundings(now=NOW, silences=silences)).suppressed
    assert met
    assert met.why == "the silence s-1 (a move; by ada) is in force until 2026-03-04 14:00 UTC"
    assert met.until == NOW + 2 * HOUR
    later = Surroundings(now=NOW + 2 * HOUR, silences=in_force(state.silences, NOW + 2 * HOUR))
    assert not place(alert, catalog, later).suppressed
    other = alert.model_copy(update={"service": "web"})
    assert not place(other, catalog, Surroundings(now=NOW, silences=silences)).suppressed


def test_what_has_ended_is_shown_for_a_while_and_never_without_end() -> None:
    state = NOTHING
    for number in range(ENDED_KEPT + 20):
        state = with_silence(state, f"s-{number}")
        state = expired(state, ExpireSilence(id=f"s-{number}", by="ada"), NOW + timedelta(seconds=number))
    assert len(state.silences) == ENDED_KEPT
    assert state.silences[-1].id == f"s-{ENDED_KEPT + 19}"
    assert pruned(state, NOW + timedelta(days=8)).silences == ()


def test_there_are_never_more_than_temporal_can_carry() -> None:
    state = NOTHING
    for number in range(MOST_SILENCES):
        state = with_silence(state, f"s-{number}")
    assert "are the most" in refusal(state, AddSilence(spec=spec("s-x"), by="ada"), NOW)
    large = {"for": "2h", "match": [f"{'x' * 100}=~{'y' * 390}"] * 20, "reason": "z" * 1_000}
    state = NOTHING
    while not refusal(state, AddSilence(spec=spec(f"l-{len(state.silences)}", **large), by="ada"), NOW):
        state = with_silence(state, f"l-{len(state.silences)}", **large)
    assert 50 < len(state.silences) < MOST_SILENCES
    assert len(state.model_dump_json()) < 1_100_000
    assert refusal(state, AddSilence(spec=spec("s-x"), by="ada"), NOW + 3 * HOUR) != ""  # it has ended by then


@pytest.mark.parametrize(
    ("said", "access"),
    [
        ({"for": "2h"}, Access.OPERATOR),
        ({"for": "7d"}, Access.OPERATOR),
        ({"for": "8d"}, Access.ADMIN),
        ({"every": "mon 02:00 – mon 03:00"}, Access.ADMIN),
    ],
)
def test_what_nobody_remembers_takes_an_admin(said: dict[str, Any], access: Access) -> None:
    assert needed_access(spec(**said)) is access


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"for": "2h", "until": "2026-03-05 12:00"},
        {"every": "mon 02:00 – mon 03:00", "for": "2h"},
        {"every": "mon 02:00 – mon 03:00", "from": "2026-03-05 12:00"},
        {"for": "0s"},
        {"for": "20000d"},
        {"until": "2026-03-04 11:00"},
        {"from": "2026-03-05 12:00", "until": "2026-03-04 13:00"},
        {"for": "2h", "match": []},
        {"for": "2h", "match": "what"},
        {"for": "2h", "match": "service=~("},
        {"for": "2h", "zone": "Berlin"},
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, object]) -> None:
    with pytest.raises((MistakeError, ValidationError)):
        spec_of(words(**said), "s-1", NOW)


def test_it_stands_under_the_service_that_it_names() -> None:
    assert str(concerns("local", spec())) == "local/shop"
    assert str(concerns("local", spec(match="service=~shop|web", **{"for": "1h"}))) == "local/silences"
    assert str(concerns("local", spec(match="service=No Name", **{"for": "1h"}))) == "local/silences"


def test_matchers_in_braces_are_read_one_by_one() -> None:
    assert split_matchers('{alertname="a, b", env=~"prod|stage"}') == ['alertname="a, b"', 'env=~"prod|stage"']
    assert split_matchers("alertname=a, b") == ["alertname=a, b"]
