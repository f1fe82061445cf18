"""An attempt that outlived its step does not undo what a later one did."""

import pytest

from models.fence import Fence
from providers.fencing import Passed, StaleOrderError, let_pass


def fence(run: str, number: int) -> Fence:
    return Fence(run_id=run, number=number)


def test_the_same_step_may_come_again_and_a_later_one_after_it() -> None:
    passed = let_pass(None, fence("a", 1), "it")
    passed = let_pass(passed, fence("a", 1), "it")
    passed = let_pass(passed, fence("a", 3), "it")

    assert passed == Passed(last=fence("a", 3))


def test_an_earlier_step_comes_too_late_and_is_told_what_came_after_it() -> None:
    passed = let_pass(None, fence("a", 3), "it")

    with pytest.raises(StaleOrderError, match=r"it was asked for by step 2 of run a, .* step 3 of run a") as stale:
        let_pass(passed, fence("a", 2), "it")
    assert not stale.value.retryable


def test_a_run_that_another_came_after_comes_too_late_whatever_its_step() -> None:
    passed = let_pass(let_pass(None, fence("a", 3), "it"), fence("b", 1), "it")

    with pytest.raises(StaleOrderError):
        let_pass(passed, fence("a", 9), "it")
    assert let_pass(passed, fence("c", 1), "it") == Passed(last=fence("c", 1), former_runs=("a", "b"))


def test_without_a_fence_nothing_is_compared_and_nothing_forgotten() -> None:
    passed = let_pass(None, fence("a", 3), "it")

    assert let_pass(passed, None, "it") == passed
    assert let_pass(None, None, "it") is None


def test_only_so_many_former_runs_are_kept() -> None:
    passed = None
    for number in range(40):
        passed = let_pass(passed, fence(str(number), 1), "it")

    assert passed is not None
    assert len(passed.former_runs) == 16
