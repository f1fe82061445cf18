"""An incident as messages and time come to it in any order: never illegal, and quiet once acknowledged."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from analysis.incident_alerts import cleared, fired, opened, strange_noted
from analysis.incident_changes import delivered
from analysis.incident_held import held, joined, looked, unasked
from analysis.incident_list import key_of
from analysis.incident_orders import (
    acknowledged,
    escalated,
    resolved_by,
    snoozed,
    unsnoozed,
)
from analysis.incident_parts import merged, not_heard, split, with_part
from analysis.incident_time import next_due, passed
from models.alert import AlertStatus
from models.held import LookedAgain, Placement
from models.incident import (
    MOST_TRACKED,
    IncidentRules,
    IncidentState,
    Merge,
    Message,
    Order,
    Part,
    Phase,
    Snooze,
)
from models.incident_spec import FlapSpec, OpenAfter
from models.notification import NotificationKind
from models.severity import Severity
from models.temporal_names import IncidentSignal
from tests.analysis.incident_factories import SILENCED, a_held, a_level, a_request, an_alert, holding, later, signalled
from tests.factories import WHEN

ADA = Order(by="ada")
MINUTE = timedelta(minutes=1)
LEGAL = {
    Phase.PENDING: {Phase.TRIGGERED, Phase.RESOLVED, Phase.CLOSED},
    Phase.TRIGGERED: {Phase.ACKNOWLEDGED, Phase.RESOLVED},
    Phase.ACKNOWLEDGED: {Phase.TRIGGERED, Phase.RESOLVED},
    Phase.RESOLVED: {Phase.PENDING, Phase.TRIGGERED, Phase.CLOSED},
    Phase.CLOSED: {Phase.PENDING, Phase.TRIGGERED, Phase.RESOLVED},
}
"""From one phase to the next, in a single step."""


HOLD_FOR = 40 * MINUTE
RULES = IncidentRules(levels=(a_level("first"), a_level("second"), a_level("third")), repeat=1)


def pages(state: IncidentState) -> list[tuple[int, datetime]]:
    return [(page.level, page.due_at) for page in state.outbox if page.kind is NotificationKind.PAGE]


def test_thirty_minutes_in_which_nothing_ran_lose_no_level_and_double_none() -> None:
    state = passed(opened(a_request(RULES), WHEN), RULES, later(31))

    assert pages(state) == [(1, later(0)), (2, later(10)), (3, later(20)), (1, later(30))]
    assert passed(state, RULES, later(31)) == state
    assert next_due(state, RULES) == later(40)
    assert next(entry.text for entry in state.timeline if "late" in entry.text) == "level 1 is paged: first, 31m late"


def test_a_week_in_which_nothing_ran_ends_with_the_policy() -> None:
    state = passed(opened(a_request(RULES), WHEN), RULES, WHEN + timedelta(days=7))

    assert [level for level, _ in pages(state)] == [1, 2, 3, 1, 2, 3]
    assert next_due(state, RULES) is None


def test_a_policy_without_a_wait_goes_by_the_severitys_target() -> None:
    rules = IncidentRules(levels=(a_level("first", wait=None), a_level("second", wait=None)), repeat=0)
    for severity, minutes in ((Severity.SEV1, 10), (Severity.SEV2, 15)):
        state = passed(opened(a_request(rules, severity), WHEN), rules, WHEN)
        assert state.escalation
        assert state.escalation.due_at == later(minutes)


def test_acknowledged_too_long_over_an_outage_escalates_as_of_when_it_was_due() -> None:
    state = passed(opened(a_request(RULES), WHEN), RULES, WHEN)
    state = acknowledged(state, RULES, ADA, later(1))
    state = passed(state, RULES, later(72))

    assert pages(state) == [(1, later(61)), (2, later(71))]


def test_the_list_of_alerts_is_bounded_and_what_is_beyond_it_is_resolved_by_a_person() -> None:
    state = opened(a_request(RULES), WHEN)
    alerts = [an_alert(f"alert {number}", f"alert-{number}") for number in range(MOST_TRACKED + 10)]
    state = fired(state, RULES, signalled(*alerts), WHEN)
    state = cleared(state, RULES, signalled(*alerts), later(1))

    assert (len(state.alerts), state.untracked, state.count) == (MOST_TRACKED, 10, MOST_TRACKED + 10)
    assert state.phase is Phase.TRIGGERED
    assert resolved_by(state, RULES, ADA, later(2)).phase is Phase.RESOLVED


def test_alerts_that_come_before_it_is_opened_are_forgotten_one_by_one() -> None:
    rules = RULES.model_copy(update={"open_after": OpenAfter(alerts=3, within=5 * MINUTE)})
    state = opened(a_request(rules), WHEN)
    for minute in (0, 4, 8):
        state = passed(fired(state, rules, signalled(), later(minute)), rules, later(minute))
    assert state.phase is Phase.PENDING
    assert fired(state, rules, signalled(), later(8.5)).phase is Phase.TRIGGERED
    assert passed(state, rules, later(14)).phase is Phase.CLOSED


class Interleavings(RuleBasedStateMachine):
    """Anything that may happen, in any order; `quiet` while somebody has it, or it is over, or snoozed."""

    @initialize(
        auto=st.booleans(),
        by_hand=st.booleans(),
        acknowledged_for=st.sampled_from([None, 7 * MINUTE]),
        pending=st.booleans(),
        begins_held=st.booleans(),
        wait=st.sampled_from([timedelta(0), MINUTE, 10 * MINUTE, None]),
    )
    def begin(
        self,
        auto: bool,
        by_hand: bool,
        acknowledged_for: timedelta | None,
        pending: bool,
        begins_held: bool,
        wait: timedelta | None,
    ) -> None:
        self.by = IncidentRules(
            levels=(a_level("first", wait=wait), a_level("second", wait=wait), a_level("third")),
            repeat=1,
            acknowledged_for=acknowledged_for,
            reopen_within=9 * MINUTE,
            auto_resolve=auto,
            flapping=FlapSpec(changes=4, within=6 * MINUTE),
            open_after=OpenAfter(alerts=2, within=3 * MINUTE) if pending else None,
            hold_for=HOLD_FOR,
        )
        self.now = WHEN
        request = a_request(self.by, opened_by="ada" if by_hand else "", held=begins_held and not by_hand)
        self.state = opened(request, WHEN)
        self.kept: dict[str, datetime] = {}
        self.sent: list[tuple[int, str]] = []
        self.requests: dict[str, list[str]] = {}
        self._settle()

    def _become(self, change: Callable[[IncidentState], IncidentState]) -> None:
        before = self.state
        self.state = change(before)
        if self.state.phase is not before.phase:
            assert self.state.phase in LEGAL[before.phase], (before.phase, self.state.phase)
            was_opened = before.triggered_at is not None
            assert self.state.phase is not Phase.PENDING or not was_opened, "what was opened is not pending again"
            assert self.state.entries > before.entries, "a change of phase is on the timeline"
        new = [page.step for page in self.state.outbox if page.kind is NotificationKind.PAGE]
        quiet = self.state.phase is not Phase.TRIGGERED or self.state.snoozed_until or self.state.merged_into
        assert not (quiet and new), "a page waits to be sent though nobody is to be paged"
        assert len({page.step for page in self.state.outbox}) == len(self.state.outbox)

    def _settle(self) -> None:
        """What a workflow does after each message: time passes step by step, as far as the clock is."""
        due = next_due(self.state, self.by)
        before = self.state = unasked(joined(strange_noted(self.state, self.now), self.by, self.now))
        self.state = passed(self.state, self.by, self.now)
        if due is None or due > self.now:
            assert self.state is before, "nothing was due, and yet something happened"
        after = next_due(self.state, self.by)
        assert after is None or after > self.now, "what is due was done"

    @rule(minutes=st.sampled_from([0, 0.5, 1, 3, 7, 10, 31, 600]))
    def time_passes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)
        self._settle()

    @rule(keys=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
    def alerts_fire(self, keys: list[str]) -> None:
        alerts = [an_alert(key, key) for key in keys]
        count = self.state.count
        self._become(lambda state: fired(state, self.by, signalled(*alerts), self.now))
        assert self.state.count == count + len(keys)
        assert self.state.phase not in {Phase.RESOLVED, Phase.CLOSED}
        self._settle()

    @rule(keys=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True))
    def a_request_fires(self, keys: list[str]) -> None:
        name = f"request {len(self.requests)}"
        self.requests[name] = keys
        self._hear_request(name, len(keys))

    @precondition(lambda self: self.requests)
    @rule(index=st.integers(0, 20))
    def a_request_is_sent_again(self, index: int) -> None:
        """Counted is what fires no more; nothing of it is ever left unheard."""
        name = list(self.requests)[index % len(self.requests)]
        before = self.state
        over = before.phase in {Phase.RESOLVED, Phase.CLOSED}
        news = [key for key in self.requests[name] if over or not before.alerts[_tracked_as(key)].fires]
        self._hear_request(name, len(news))

    def _hear_request(self, name: str, news: int) -> None:
        keys, before = self.requests[name], self.state.count
        alerts = [an_alert(key, key) for key in keys]
        self._become(lambda state: fired(state, self.by, signalled(*alerts, request=name), self.now))
        assert self.state.phase not in {Phase.RESOLVED, Phase.CLOSED}, "it was answered that this is taken"
        assert all(self.state.alerts[_tracked_as(key)].fires for key in keys)
        assert self.state.count == before + news
        self._settle()

    @rule(keys=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True))
    def alerts_are_silenced(self, keys: list[str]) -> None:
        before = self.state
        self._become(
            lambda state: held(state, self.by, holding(*(a_held(an_alert(key, key)) for key in keys)), self.now)
        )
        assert self.state.phase.open is before.phase.open, "what is silenced opens nothing"
        if not before.phase.open:
            self.kept |= dict.fromkeys(keys, self.now)
        self._settle()

    @precondition(lambda self: self.state.looking)
    @rule(keys=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True), moved=st.booleans())
    def the_front_door_answers(self, keys: list[str], moved: bool) -> None:
        """That these are free, or belong elsewhere, whatever became of them meanwhile."""
        names = [_tracked_as(key) for key in keys]
        to = "other" if moved else ""
        found = LookedAgain(
            placements={name: Placement(before=SILENCED, moved_to=to, severity=Severity.SEV3) for name in names}
        )
        opens = not moved and any(name in self.state.held for name in names)
        self._become(lambda state: looked(state, self.by, found, self.now))
        assert not opens or self.state.phase.open or self.by.open_after
        if moved:
            self.kept = {key: at for key, at in self.kept.items() if key not in keys}
        self._settle()

    @invariant()
    def what_is_kept_is_not_forgotten(self) -> None:
        state = self.state
        assert not state.held or state.phase in {Phase.PENDING, Phase.RESOLVED}
        assert bool(state.held) is bool(state.looking or state.look_due)
        for key, at in list(self.kept.items()):
            tracked = state.alerts.get(_tracked_as(key))
            if self.now - at >= HOLD_FOR or (tracked and tracked.fires):
                del self.kept[key]
                continue
            assert _tracked_as(key) in state.held, f"{key} is held, and was not heard of since"

    @rule(keys=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3))
    def alerts_clear(self, keys: list[str]) -> None:
        alerts = [an_alert(key, key, status=AlertStatus.CLEARED) for key in keys]
        self.kept = {key: at for key, at in self.kept.items() if key not in keys}
        self._become(lambda state: cleared(state, self.by, signalled(*alerts), self.now))
        self._settle()

    @rule()
    def somebody_acknowledges(self) -> None:
        self._become(lambda state: acknowledged(state, self.by, ADA, self.now))
        self._settle()

    @rule()
    def somebody_resolves(self) -> None:
        self._become(lambda state: resolved_by(state, self.by, ADA, self.now))
        assert self.state.phase in {Phase.RESOLVED, Phase.CLOSED}
        assert not self.state.held
        self.kept = {}
        self._settle()

    @rule()
    def somebody_escalates(self) -> None:
        self._become(lambda state: escalated(state, self.by, ADA, self.now))
        self._settle()

    @rule(minutes=st.sampled_from([0, 5, 60]))
    def somebody_snoozes(self, minutes: int) -> None:
        order = Snooze(by="ada", lasting=timedelta(minutes=minutes))
        self._become(lambda state: snoozed(state, self.by, order, self.now))
        self._settle()

    @rule()
    def somebody_unsnoozes(self) -> None:
        self._become(lambda state: unsnoozed(state, self.by, ADA, self.now))
        self._settle()

    @rule(into=st.sampled_from(["incident/local/shop/other", "incident/local/shop/high-error-rate", "nonsense"]))
    def somebody_merges(self, into: str) -> None:
        self._become(lambda state: merged(state, self.by, Merge(by="ada", into=into), self.now))
        self._settle()

    @rule()
    def somebody_splits(self) -> None:
        had = self.state.phase is Phase.ACKNOWLEDGED
        self._become(lambda state: split(state, self.by, ADA, self.now))
        assert not had or self.state.phase is Phase.ACKNOWLEDGED, "what somebody has stays theirs"
        self._settle()

    @rule(name=st.sampled_from(["one", "two"]), fires=st.booleans(), grave=st.booleans(), merged=st.booleans())
    def a_part_says_how_it_stands(self, name: str, fires: bool, grave: bool, merged: bool) -> None:
        severity = Severity.SEV1 if grave else Severity.SEV3
        part = Part(workflow_id=name, title=name, severity=severity, open=fires, merged=merged)
        before = self.state
        self._become(lambda state: with_part(state, self.by, part, self.now))
        if name in self.state.parts:
            assert not fires or self.state.phase.open
            assert before.phase is self.state.phase or not self.state.phase.open or fires
            assert self.state.severity <= severity
        self._settle()

    @rule(into=st.sampled_from(["incident/local/shop/other", "incident/local/shop/another"]))
    def a_message_found_nobody(self, into: str) -> None:
        part = Part(workflow_id="me", title="me", severity=Severity.SEV2, open=True)
        message = Message(workflow_id=into, part=part, signal=IncidentSignal.PART)
        had = self.state.phase is Phase.ACKNOWLEDGED
        self._become(lambda state: not_heard(state, self.by, message, self.now))
        assert not had or self.state.phase is Phase.ACKNOWLEDGED
        self._settle()

    @precondition(lambda self: self.state.outbox)
    @rule(index=st.integers(0, 5), problem=st.sampled_from(["", "no such address"]))
    def something_is_brought(self, index: int, problem: str) -> None:
        page = self.state.outbox[index % len(self.state.outbox)]
        target = next(name for name in page.targets if name not in page.sent)
        self.sent.append((page.step, target))
        self._become(lambda state: delivered(state, page.step, target, self.now, problem))

    @invariant()
    def nothing_waits_for_nobody(self) -> None:
        state = self.state
        if state.phase is Phase.ACKNOWLEDGED:
            assert state.acknowledged_at
            assert state.escalation is None
        if state.phase in {Phase.RESOLVED, Phase.CLOSED}:
            assert state.escalation is None
            assert state.phase is Phase.CLOSED or state.resolved_at
        if state.phase is not Phase.TRIGGERED or state.merged_into or state.snoozed_until:
            assert not pages(state)

    @invariant()
    def no_step_is_sent_twice(self) -> None:
        assert len(set(self.sent)) == len(self.sent)
        assert [page.step for page in self.state.outbox] == sorted({page.step for page in self.state.outbox})

    @invariant()
    def it_survives_the_wire(self) -> None:
        assert IncidentState.model_validate_json(self.state.model_dump_json()) == self.state

    @invariant()
    def the_timeline_counts_without_a_gap(self) -> None:
        numbers = [entry.number for entry in self.state.timeline]
        assert numbers == list(range(1, self.state.entries + 1))


def _tracked_as(key: str) -> str:
    return key_of(an_alert(key, key))


class ManyMore(Interleavings):
    """The same, ten times as often."""


TestInterleavings = pytest.mark.slow(Interleavings.TestCase)
TestManyInterleavings = pytest.mark.full(pytest.mark.timeout(900)(ManyMore.TestCase))
TestInterleavings.settings = settings(
    max_examples=1_000, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestManyInterleavings.settings = settings(TestInterleavings.settings, max_examples=10_000)
