from datetime import timedelta

import pytest

from analysis.rollout_history import leads_back_to, merged, once_promoted, unaccounted, version_before
from models.rollout import DeployStep, PastRollout, Phase, Promote, RolloutState, StepState, StepStatus
from tests.factories import SHOP, WHEN


def past(run: int, phase: Phase = Phase.PROMOTED, *, version: str = "v1") -> PastRollout:
    began = WHEN + timedelta(hours=run)
    ended = began + timedelta(minutes=5) if phase.final else None
    return PastRollout(
        version=version, strategy="canary", phase=phase, started_at=began, ended_at=ended, run_id=str(run)
    )


def test_every_run_stands_there_once_the_newest_first() -> None:
    assert merged([past(3), past(1)], [past(4), past(3), past(2)], 10) == [past(4), past(3), past(2), past(1)]


def test_no_more_than_asked_for() -> None:
    assert merged([past(1)], [past(2), past(3)], 2) == [past(3), past(2)]


def test_who_knows_the_end_is_believed() -> None:
    ended, stale = past(1), past(1, Phase.PROMOTING)

    assert merged([ended], [stale], 10) == merged([stale], [ended], 10) == [ended]


def test_while_it_is_under_way_temporal_is_fresher_than_the_record() -> None:
    assert merged([past(1, Phase.PREPARING)], [past(1, Phase.PROGRESSING)], 10) == [past(1, Phase.PROGRESSING)]


def test_an_end_that_is_recorded_stays_what_temporal_forgets() -> None:
    assert merged([past(1)], [], 10) == [past(1)]


def test_only_what_has_no_end_and_is_not_listed_is_to_be_asked_for() -> None:
    recorded = [past(3, Phase.PROGRESSING), past(2, Phase.PROGRESSING), past(1)]

    assert unaccounted(recorded, [past(3, Phase.PROGRESSING)]) == [recorded[1]]


def history(*rollouts: str) -> list[PastRollout]:
    """Given the oldest first: `v1` was promoted, `v1<` as a way back, `v1!` was taken back, `v1<!` a way back was."""
    newest_first: list[PastRollout] = []
    for number, text in enumerate(rollouts):
        phase = Phase.ROLLED_BACK if text.endswith("!") else Phase.PROMOTED
        rollout = past(number, phase, version=text.strip("<!"))
        newest_first.insert(0, rollout.model_copy(update={"back": "<" in text}))
    return newest_first


def a_state(phase: Phase, *, promoted: bool = False, stable: str | None = "v2") -> RolloutState:
    """Of a rollout of v3."""
    steps = tuple(
        StepState(step=step, status=StepStatus.DONE if promoted else StepStatus.PENDING)
        for step in (DeployStep(), Promote())
    )
    return RolloutState(
        ref=SHOP, version="v3", strategy="canary", requested_by="ada", phase=phase, stable=stable, steps=steps
    )


@pytest.mark.parametrize(
    ("rollouts", "stable", "before"),
    [
        (["v1", "v2", "v3", "v3", "v4!"], "v3", "v2"),
        (["v1", "v2", "v3", "v2<"], "v2", "v1"),
        (["v1", "v2", "v3", "v2"], "v2", "v1"),
        (["v1", "v2", "v3"], "v2", "v1"),
        (["v1", "v2", "v1<"], "v1", None),
        (["v1", "v2", "v1<", "v3"], "v3", "v1"),
        (["v1", "v2", "v3", "v2!", "v4"], "v4", "v3"),
        (["v1", "v2", "v1<!"], "v2", "v1"),
        (["v1", "v2", "v0<"], "v0", "v1"),
        (["v1"], "v1", None),
        (["v1"], "v2", "v1"),
        ([], "v1", None),
    ],
    ids=str,
)
def test_a_rollback_leads_to_the_version_that_served_well_before(
    rollouts: list[str], stable: str, before: str | None
) -> None:
    assert version_before(history(*rollouts), stable) == before


def test_from_the_middle_of_a_rollout_it_leads_to_what_that_would_replace() -> None:
    promoted = history("v1", "v2")

    assert leads_back_to(a_state(Phase.PROGRESSING), promoted) == "v2"
    assert leads_back_to(a_state(Phase.PROMOTING), promoted) == "v2"
    assert leads_back_to(a_state(Phase.PREPARING, stable=None), []) is None


def test_once_it_is_promoted_or_taken_back_it_leads_to_what_was_stable_before() -> None:
    promoted = history("v1", "v2")

    assert leads_back_to(a_state(Phase.KEEPING, promoted=True), promoted) == "v2"
    assert leads_back_to(a_state(Phase.ROLLED_BACK), promoted) == "v1"
    assert leads_back_to(a_state(Phase.FAILED, stable=None), []) is None


def test_one_that_was_ended_by_force_after_its_promotion_is_stable() -> None:
    assert leads_back_to(a_state(Phase.PROMOTING, promoted=True), history("v1", "v2")) == "v2"


def test_that_it_was_a_way_back_is_still_known_when_temporal_knows_the_rest_better() -> None:
    recorded = past(1, Phase.KEEPING).model_copy(update={"back": True})

    assert merged([recorded], [past(1)], 10) == [past(1).model_copy(update={"back": True})]


def test_what_was_promoted_once_is_named_the_newest_first() -> None:
    assert once_promoted(history("v1", "v2", "v3", "v3", "v4!", "v2<"), "v2") == ("v3", "v1")
