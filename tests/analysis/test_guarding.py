"""What a guard decides."""

from datetime import datetime, timedelta
from itertools import combinations, combinations_with_replacement
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.guarding import (
    DECISIONS_KEPT,
    MAY_NOT_OVERLAP,
    RELEASES_KEPT,
    AskIfAlive,
    answered,
    decide,
    known_answer,
    lease_of,
    noted,
    overlap,
    released,
    voided,
    was_released,
)
from models.freezes import FreezeWindow
from models.guard import (
    Acquire,
    Freeze,
    Grant,
    GuardRules,
    GuardSpec,
    GuardState,
    Holder,
    LeaseKind,
    LeaseOutcome,
    Refusal,
    Release,
    RestartBudget,
)
from models.rollout import Phase
from tests.factories import SHOP, WHEN, a_holder, an_acquire

CHAOS, REMEDIATION, ROLLOUT, SCALING = LeaseKind.CHAOS, LeaseKind.REMEDIATION, LeaseKind.ROLLOUT, LeaseKind.SCALING
ADA, BOB = a_holder("rollout/local/shop"), a_holder("remediation/7/1")
EMPTY = GuardState(ref=SHOP)
MINUTE = timedelta(minutes=1)


def rules(cooldown: timedelta = 10 * MINUTE, limit: int = 5, window: timedelta = 60 * MINUTE) -> GuardRules:
    return GuardRules(spec=GuardSpec(cooldown=cooldown, restarts=RestartBudget(limit=limit, window=window)))


def granted(state: GuardState, request: Acquire, now: datetime = WHEN) -> GuardState:
    answer = decide(state, request, now)
    assert isinstance(answer, Grant), answer
    return answered(state, f"{request.holder}{request.kind}{now}", request, answer, now)


def given_back(
    state: GuardState, request: Acquire, outcome: LeaseOutcome = LeaseOutcome.DONE, now: datetime = WHEN
) -> GuardState:
    release = Release(ref=SHOP, kind=request.kind, holder=request.holder, outcome=outcome, version=request.version)
    return released(state, f"release {now}", release, now)


def refusal(state: GuardState, request: Acquire, now: datetime = WHEN, *, alive: tuple[Holder, ...] = ()) -> Refusal:
    answer = decide(state, request, now, alive=alive)
    assert isinstance(answer, Refusal), answer
    return answer


def test_the_table_says_something_about_every_pair_once() -> None:
    pairs = {frozenset(pair) for pair in combinations_with_replacement(LeaseKind, 2)}

    assert {frozenset(pair) for pair in MAY_NOT_OVERLAP} == pairs
    assert len(MAY_NOT_OVERLAP) == len(pairs)


@given(asked=st.sampled_from(LeaseKind), held=st.sampled_from(LeaseKind))
def test_overlap_knows_no_order(asked: LeaseKind, held: LeaseKind) -> None:
    assert overlap(asked, held) == overlap(held, asked)


def test_a_holder_is_looked_for_before_anybody_is_refused_because_of_it() -> None:
    state = granted(EMPTY, an_acquire(holder=ADA, version="v2"))
    request = an_acquire(kind=CHAOS, holder=BOB)

    assert decide(state, request, WHEN) == AskIfAlive(ADA)
    assert refusal(state, request, alive=(ADA,)).until is None
    assert isinstance(decide(voided(state, "m", ADA, WHEN), request, WHEN), Grant)


def test_an_emergency_overrides_a_freeze_and_a_cooldown_but_no_overlap() -> None:
    rolled_back = an_acquire(holder=ADA, version="v2", rules=rules())
    state = given_back(granted(EMPTY, rolled_back), rolled_back, LeaseOutcome.ROLLED_BACK)
    state = state.model_copy(update={"freeze": Freeze(by="ada")})
    urgent = an_acquire(holder=BOB, version="v2", emergency="it leaks passwords")

    state = granted(state, urgent)
    assert "in spite of all, as ada said: it leaks passwords" in state.decisions[-1].text
    another = an_acquire(holder=ADA, version="v3", emergency="mine is urgent too")
    assert decide(state, another, WHEN) == AskIfAlive(BOB)


def test_a_workflow_is_not_in_its_own_way() -> None:
    state = granted(EMPTY, an_acquire(kind=REMEDIATION, holder=BOB))

    assert isinstance(decide(state, an_acquire(kind=SCALING, holder=BOB), WHEN), Grant)


def test_the_cooldown_is_the_one_that_held_when_the_rollout_began_and_begins_when_it_ends() -> None:
    request = an_acquire(holder=ADA, version="v2", rules=rules(cooldown=5 * MINUTE))
    state = given_back(granted(EMPTY, request), request, LeaseOutcome.ROLLED_BACK, WHEN + 30 * MINUTE)

    assert refusal(state, request, WHEN + 34 * MINUTE).until == WHEN + 35 * MINUTE
    assert isinstance(decide(state, request, WHEN + 35 * MINUTE), Grant)


@pytest.mark.parametrize("outcome", [outcome for outcome in LeaseOutcome if outcome is not LeaseOutcome.ROLLED_BACK])
def test_only_a_rollback_cools_down(outcome: LeaseOutcome) -> None:
    request = an_acquire(holder=ADA, version="v2", rules=rules())

    assert given_back(granted(EMPTY, request), request, outcome).cooldowns == ()


def test_a_cooldown_of_no_time_is_none() -> None:
    request = an_acquire(holder=ADA, version="v2", rules=rules(cooldown=timedelta(0)))

    assert given_back(granted(EMPTY, request), request, LeaseOutcome.ROLLED_BACK).cooldowns == ()


def test_going_back_is_held_up_by_an_overlap_alone() -> None:
    request = an_acquire(holder=ADA, version="v2", rules=rules())
    state = given_back(granted(EMPTY, request), request, LeaseOutcome.ROLLED_BACK)
    state = state.model_copy(update={"freeze": Freeze(by="ada")})

    state = granted(state, an_acquire(holder=BOB, version="v2", going_back=True))
    assert decide(state, an_acquire(holder=ADA, version="v1", going_back=True), WHEN) == AskIfAlive(BOB)


def test_no_budget_is_no_remediation() -> None:
    answer = refusal(EMPTY, an_acquire(kind=REMEDIATION, rules=rules(limit=0)))

    assert answer == Refusal(why="the catalog allows no remediation of this service")


def test_the_longest_of_several_freezes_is_named() -> None:
    windows = (
        FreezeWindow(name="weekend", begins=WHEN, ends=WHEN + 2 * MINUTE),
        FreezeWindow(name="audit", begins=WHEN, ends=WHEN + 9 * MINUTE),
        FreezeWindow(name="later", begins=WHEN + MINUTE, ends=WHEN + 99 * MINUTE),
    )
    state = EMPTY.model_copy(update={"freeze": Freeze(by="ada", until=WHEN + 5 * MINUTE)})

    assert refusal(state, an_acquire(windows=windows)).until == WHEN + 9 * MINUTE
    assert refusal(state, an_acquire(windows=windows[:1])).until == WHEN + 5 * MINUTE
    assert isinstance(decide(state, an_acquire(windows=windows[:1]), WHEN + 5 * MINUTE), Grant)


def test_releasing_what_is_not_held_changes_nothing() -> None:
    state = granted(EMPTY, an_acquire(holder=ADA))

    for other in (an_acquire(holder=BOB), an_acquire(kind=CHAOS, holder=ADA)):
        assert given_back(state, other).model_copy(update={"releases": ()}) == state


def test_a_message_that_gave_back_is_known_for_a_long_time_also_when_nothing_was_held() -> None:
    held, state = an_acquire(holder=ADA), granted(EMPTY, an_acquire(holder=ADA))
    for nth in range(RELEASES_KEPT + 5):
        state = given_back(state, held, now=WHEN + nth * MINUTE)

    assert len(state.releases) == RELEASES_KEPT
    assert not was_released(state, f"release {WHEN + 4 * MINUTE}")
    assert was_released(state, f"release {WHEN + 5 * MINUTE}")


def test_old_decisions_are_forgotten_and_new_ones_known_by_their_message() -> None:
    state = EMPTY
    for nth in range(DECISIONS_KEPT + 5):
        answer = Refusal(why=f"reason {nth}")
        state = answered(state, f"message {nth}", an_acquire(), answer, WHEN)

    assert len(state.decisions) == DECISIONS_KEPT
    assert known_answer(state, "message 4") is None
    assert known_answer(state, "message 5") == Refusal(why="reason 5")


def test_a_message_that_was_noted_without_an_answer_is_not_one_that_was_answered() -> None:
    """A holder's lease is found void before the question that found it is answered."""
    assert known_answer(noted(EMPTY, "m", "void", WHEN), "m") is None
    state = answered(noted(EMPTY, "m", "void", WHEN), "m", an_acquire(), Refusal(why="no"), WHEN)
    assert known_answer(state, "m") == Refusal(why="no")


def test_a_rollouts_final_phases_are_outcomes() -> None:
    assert {phase.value for phase in Phase if phase.final} <= {outcome.value for outcome in LeaseOutcome}


class World:
    """Plays what a guard and its holders do, in any order, and keeps its own books on what was promised."""

    def __init__(self) -> None:
        self.state = EMPTY
        self.now = WHEN
        self.dead: set[Holder] = set()
        self.asked = 0
        self.taken_back: dict[str | None, datetime] = {}
        self.repairs: list[datetime] = []

    def ask(self, request: Acquire) -> None:
        held = lease_of(self.state, request.holder, request.kind)
        answer = self._answer(request)
        if isinstance(answer, Refusal):
            assert answer.why
            assert answer.until is None or answer.until > self.now
        elif held:
            assert answer.lease == held, "asked again, it is the same grant"
        else:
            self._check_new(request)

    def _answer(self, request: Acquire) -> Grant | Refusal:
        self.asked += 1
        alive: list[Holder] = []
        while isinstance(answer := decide(self.state, request, self.now, alive=alive), AskIfAlive):
            assert answer.holder not in alive, "asked for the same holder twice"
            if answer.holder in self.dead:
                self.state = voided(self.state, str(self.asked), answer.holder, self.now)
            else:
                alive.append(answer.holder)
        self.state = answered(self.state, str(self.asked), request, answer, self.now)
        return answer

    def _check_new(self, request: Acquire) -> None:
        if request.kind is REMEDIATION:
            self.repairs.append(self.now)
            assert sum(at > self.now - 60 * MINUTE for at in self.repairs) <= 2
        if request.going_back or request.emergency:
            return
        hot = [version for version, until in self.taken_back.items() if self.now < until]
        assert request.version not in hot if request.kind is ROLLOUT else not hot

    def give_back(self, request: Acquire, outcome: LeaseOutcome) -> None:
        lease = lease_of(self.state, request.holder, request.kind)
        self.state = given_back(self.state, request, outcome, self.now)
        assert lease_of(self.state, request.holder, request.kind) is None
        if lease and lease.kind is ROLLOUT and outcome is LeaseOutcome.ROLLED_BACK:
            self.taken_back[request.version] = self.now + 10 * MINUTE

    def play(self, deed: str, request: Acquire) -> None:
        match deed:
            case "ask":
                self.ask(request)
            case "dies":
                self.dead.add(request.holder)
            case "passes":
                self.now += 4 * MINUTE
            case _:
                self.give_back(request, LeaseOutcome(deed))


HOLDERS = tuple(a_holder(f"workflow-{nth}") for nth in range(4))
asking = st.builds(
    an_acquire,
    kind=st.sampled_from(LeaseKind),
    holder=st.sampled_from(HOLDERS),
    version=st.sampled_from(["v1", "v2", "v3"]),
    going_back=st.booleans(),
    emergency=st.sampled_from(["", "now"]),
    rules=st.just(rules(limit=2)),
)
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), asking),
        st.tuples(st.sampled_from(LeaseOutcome), asking),
        st.tuples(st.just("dies"), asking),
        st.tuples(st.just("passes"), asking),
    ),
    max_size=40,
)


@given(deeds)
def test_whatever_happens_no_two_overlap_and_every_rule_is_kept(done: list[tuple[str, Acquire]]) -> None:
    world = World()
    for deed, request in done:
        world.play(deed, request)
        for first, second in combinations(world.state.leases, 2):
            assert first.holder == second.holder or overlap(first.kind, second.kind) is None
    assert GuardState.model_validate_json(world.state.model_dump_json()) == world.state


@given(at=st.datetimes(timezones=st.just(ZoneInfo("UTC"))), kind=st.sampled_from(LeaseKind), back=st.booleans())
def test_freezes_stop_what_is_new_and_nothing_else(at: datetime, kind: LeaseKind, back: bool) -> None:
    window = FreezeWindow(name="w", begins=WHEN, ends=WHEN + timedelta(days=3))
    request = an_acquire(kind=kind, going_back=back, windows=(window,))
    new = kind is not REMEDIATION and not back

    assert isinstance(decide(EMPTY, request, at), Refusal) == (new and window.begins <= at < window.ends)
